// Ends a move of the store (docs/design/postgresql.md, "Moving a store"): hub.json names the new one already. The former one gets its mark first, and only
// then the new one loses its own, so at no moment both can be opened by a hub.
import { holdStore } from '../store/copy/held-store.ts';
import { logEndAt, markAt, movedError, removeMark, type StoreMark, type StoreSetting } from '../store/store-mark.ts';
import { Database } from '../store/database.ts';
import type { StorePlace } from '../store/engine/place.ts';
import { latestTimeIn } from '../store/hub-time.ts';
import { placeOfStore } from '../store/place-of-store.ts';
import { HubError } from '../common/error.ts';
import { appendEntry } from './append.ts';

/**
 * For the store of a stopped hub. Does nothing where no move is under way. Throws `store-moved` for a store that was left, and where the former store went
 * on after it was copied.
 */
export async function settleMove(
  folder: string,
  settings: { readonly store: StoreSetting },
  nowMs: number,
): Promise<void> {
  const place = placeOfStore(folder, settings);
  const mark = await markAt(place);
  if (mark === undefined) return;
  if (mark.state === 'moved') throw movedError(mark);
  if (mark.other !== null) await leave(placeOfStore(folder, { store: mark.other }), mark, settings.store);
  await use(place, mark, { to: settings.store, nowMs });
}

/** Marks the former store. */
async function leave(former: StorePlace, mark: StoreMark, to: StoreSetting): Promise<void> {
  const known = await markAt(former);
  if (known?.state === 'moved' && known.move === mark.move) return;
  if (known !== undefined || !(await endsAt(former, mark)))
    throw new HubError(
      'store-moved',
      `the store that this one is a copy of (${mark.other?.url}) is not there as it was copied, so it may have gone on: put its place back into hub.json (store.url), and repeat the move`,
    );
  await using held = await holdStore(former);
  await held.markMoved({ ...mark, state: 'moved', other: to }, async () => undefined);
}

async function endsAt(place: StorePlace, { entries, newest }: StoreMark): Promise<boolean> {
  const end = await logEndAt(place);
  return end.entries === entries && end.newest === newest;
}

/** Takes the mark away, and has the log say so. A copy from a backup has no entry: it is the log of the backup. */
async function use(
  place: StorePlace,
  mark: StoreMark,
  { to, nowMs }: { readonly to: StoreSetting; readonly nowMs: number },
): Promise<void> {
  await using _ = await Database.open(place, 'optional', undefined, async (trx) => {
    await removeMark(trx);
    if (mark.other === null) return;
    const at = Math.max(nowMs, await latestTimeIn(trx));
    const data = { from: mark.other.url, to: to.url, entries: mark.entries, newest: mark.newest };
    await appendEntry(trx, { at, kind: 'store-moved', actor: 'hub-machine', subject: 'store', data });
  });
}
