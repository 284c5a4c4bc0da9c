// `edgekeep hub move-store` (docs/design/postgresql.md, "Moving a store"): the store of a stopped hub goes from SQLite to PostgreSQL, or back. Until
// hub.json names the new store, the old one is in use, whenever the move is killed.
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { logProblem } from '../audit/log-verification.ts';
import { settleMove } from '../audit/moved-store.ts';
import { findingsText, findState } from '../audit/security-state.ts';
import { hasStateEntries } from '../audit/state-check.ts';
import { HubError } from '../common/error.ts';
import { hubKeysOf } from '../node/open.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import { openSecrets } from '../secrets/open.ts';
import { readHubSettings } from '../settings.ts';
import type { ComparedRows } from '../store/copy/compare-rows.ts';
import type { CopyProgress, HeldStore } from '../store/copy/copy-end.ts';
import { holdStore } from '../store/copy/held-store.ts';
import { logEndAt, type StoreMark, type StoreSetting } from '../store/store-mark.ts';
import { incomingStoreAt } from '../store/copy/incoming-store.ts';
import { openReader, type StorePlace } from '../store/engine/place.ts';
import { isMigrated } from '../store/migrate.ts';
import { placeOfStore } from '../store/place-of-store.ts';
import type { Tables } from '../store/schema.ts';
import { nameStore } from '../store/store-setting.ts';

/** What is done, in this order. A move that ends before `named` has changed nothing that a hub uses. */
export type MoveStep = 'held' | 'copied' | 'compared' | 'placed' | 'named' | 'marked' | 'ended';

export interface MoveOrder {
  readonly to: StoreSetting;
  readonly nowMs: number;
  readonly progress?: CopyProgress;
  readonly onStep?: (step: MoveStep) => void;
}

export interface MovedStore extends ComparedRows {
  readonly from: string;
  readonly to: string;
  readonly entries: number;
}

/** For the locked folder of a stopped hub. Throws `move-refused`, `state-refused`, `store-moved`. */
export async function moveStore(folder: string, order: MoveOrder, keyStore: KeyStore): Promise<MovedStore> {
  const { to, nowMs, onStep = () => undefined } = order;
  await using opened = new AsyncDisposableStack();
  opened.use(keyStore);
  const settings = await readHubSettings(folder);
  await settleMove(folder, settings, nowMs);
  const from = placeOfStore(folder, settings);
  const hubKeys = await hubKeysOf(folder, from, keyStore, () => nowMs);
  const { keys, [Symbol.asyncDispose]: close } = await openSecrets(folder, hubKeys, () => hasStateEntries(from));
  opened.defer(async () => close?.());
  const place = placeOfStore(folder, { store: to });
  assertOther(from, place);
  const vouched = { key: keys.stateKey, state: await stateOf(from, keys.stateKey) };
  const held = opened.use(await holdStore(from));
  onStep('held');
  const end = await logEndAt(from);
  const mark: StoreMark = {
    state: 'incoming',
    move: randomBytes(16).toString('hex'),
    other: settings.store,
    ...end,
    at: nowMs,
  };
  const rows = await copied({ from, place, held, mark, vouched, order });
  await held.markMoved({ ...mark, state: 'moved', other: to }, async () => {
    await nameStore(folder, to);
    onStep('named');
  });
  onStep('marked');
  await settleMove(folder, { store: to }, nowMs);
  onStep('ended');
  return { from: settings.store.url, to: to.url, entries: end.entries, ...rows };
}

interface Copying {
  readonly from: StorePlace;
  readonly place: StorePlace;
  readonly held: HeldStore;
  readonly mark: StoreMark;
  readonly vouched: { readonly key: Uint8Array; readonly state: object };
  readonly order: MoveOrder;
}

/** Makes the new store, and compares rows, log and security state. */
async function copied({ from, place, held, mark, vouched, order }: Copying): Promise<ComparedRows> {
  const { progress = () => undefined, onStep = () => undefined } = order;
  const to = await incomingStoreAt(place, from);
  await to.receive({ source: held.source, mark, progress });
  onStep('copied');
  const rows = await to.compare(held.source, progress);
  if (!isDeepStrictEqual(await stateOf(to.place, vouched.key), vouched.state))
    throw new HubError('move-refused', 'the copy has another security state than the store');
  onStep('compared');
  await to.takeItsPlace();
  onStep('placed');
  return rows;
}

function assertOther(from: StorePlace, to: StorePlace): void {
  if (typeof from === 'string' && typeof to === 'string')
    throw new HubError('request-invalid', 'the store is on SQLite already');
  if (typeof from !== 'string' && typeof to !== 'string')
    throw new HubError(
      'request-invalid',
      'the store is on PostgreSQL already: move it to sqlite first, or to another server by means of PostgreSQL (docs/postgresql.md)',
    );
}

/** What a start would find. Throws `state-refused` where it would find something wrong. */
async function stateOf(place: StorePlace, key: Uint8Array): Promise<object> {
  {
    await using reader = await openReader<Tables>(place);
    if (!(await isMigrated(reader)))
      throw new HubError(
        'move-refused',
        'the store was written by another version: start the hub once, and stop it, before its store is moved',
      );
    const problem = await logProblem(reader);
    if (problem !== undefined) throw new HubError('state-refused', problem);
  }
  const { verdict } = await findState(place, key);
  if (verdict.kind === 'compared' && verdict.findings.length > 0)
    throw new HubError('state-refused', findingsText(verdict.findings));
  return verdict;
}
