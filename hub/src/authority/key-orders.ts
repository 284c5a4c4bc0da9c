// Replacing the hub's own signing keys (spec/key-list.md, "Replacing a key"): install, activate, give up. Each step is one transaction with its
// audit entry; the request is in key-request.ts.
import { counted } from '@edgekeep/core/counted';
import type { NoteSigner } from '@edgekeep/core/audit/note';
import { followKeyList } from '@edgekeep/core/authority/key-list-follow';
import { type KeyList, keyIdOf, type ListedKey, openKeyList } from '@edgekeep/core/authority/key-list';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { HubKeyRow, HubKeyStatus } from '../store/tables/authority.ts';
import type { AuthorityDependencies } from './issuing-orders.ts';
import {
  hubOf,
  type HubKeyRing,
  type HubKeyState,
  insertKeyList,
  listedKey,
  readHubKey,
  readHubKeys,
  rootOf,
} from './hub-key-ring.ts';
import { countKeyListPending } from './known-key-lists.ts';
import { readRoots } from './state.ts';

const daySeconds = 86_400;

/** The part of a hand-over inside the transaction: the log ends, and the next begins. */
export type HandLogOver = (
  trx: WriteTransaction,
  order: { readonly next: NoteSigner; readonly actor: string; readonly nowMs: number },
) => Promise<void>;

export interface KeyOrderDependencies extends AuthorityDependencies {
  readonly keyRing: HubKeyRing;
  readonly handLogOver: HandLogOver;
}

/** Takes the list that the root signed. A key in use that has ended is replaced in the same transaction. Returns the list's number. */
export async function installKeyList(
  dependencies: KeyOrderDependencies,
  file: Uint8Array,
  actor: string,
): Promise<number> {
  const { database, clock, keyRing } = dependencies;
  const nowMs = clock();
  const nowSeconds = Math.floor(nowMs / 1_000);
  const number = await database.write(async (trx) => {
    const state = await readHubKeys(trx);
    const list = await assertFollows(trx, state, file, nowSeconds);
    for (const key of list.keys) {
      const row = state.rows.find(({ id }) => id === keyIdOf(key));
      if (row === undefined || row.purpose !== key.purpose || row.origin !== (key.origin ?? null))
        throw refused([`the ${key.purpose} key ${keyIdOf(key)} is not a key of this hub`]);
      await trx
        .updateTable('hub_key')
        .set(certified(row, key, list.number))
        .where('id', '=', row.id)
        .execute();
    }
    await insertKeyList(trx, list, { file, rootSha256: rootOf(file), nowMs });
    const data = { number: list.number, keys: list.keys.length, validUntil: list.validUntilSeconds * 1_000 };
    await appendEntry(trx, { at: nowMs, kind: 'key-list-installed', actor, subject: `root:${rootOf(file)}`, data });
    await replaceEnded(trx, dependencies, { nowSeconds, actor });
    await useFirstBackupKey(trx, dependencies, actor);
    return list.number;
  });
  await keyRing.reload();
  return number;
}

// What the hub knows and the list does not say yet stays: the end of a key that was given up after the list was requested.
function certified(row: HubKeyRow, key: ListedKey, number: number) {
  const until = Math.min(row.until_seconds ?? Infinity, key.untilSeconds ?? Infinity);
  const compromised = row.compromised === 1 || key.compromised ? 1 : 0;
  const waits: HubKeyStatus = compromised === 1 ? 'abandoned' : 'next';
  return {
    status: isWaiting(row) ? waits : row.status,
    from_seconds: key.fromSeconds,
    until_seconds: until === Infinity ? null : until,
    compromised,
    list_number: row.list_number ?? number,
  };
}

async function assertFollows(
  trx: WriteTransaction,
  { rows, list: known }: HubKeyState,
  file: Uint8Array,
  nowSeconds: number,
): Promise<KeyList> {
  const roots = (await readRoots(trx)).filter(({ status }) => status !== 'dropped');
  const verdict = openKeyList(
    file,
    roots.map(({ certificate }) => certificate),
  );
  if (verdict.kind === 'refused') throw refused(verdict.reasons);
  const own = hubOf(rows);
  if (verdict.list.hub !== own) throw refused([`it is the list of another hub, ${verdict.list.hub}`]);
  const pinned = { number: 0, keys: rows.filter(({ status }) => status === 'active').map(listedKey) } as const;
  const followed = followKeyList(known ?? pinned, verdict, nowSeconds);
  if (followed.kind === 'refused') throw refused(followed.reasons);
  if (followed.kind === 'unchanged') throw new HubError('conflict', 'this key list is installed');
  const listed = verdict.list.keys.map(keyIdOf);
  const missing = rows.find(({ id, status }) => status === 'active' && !listed.includes(id));
  if (missing !== undefined) throw refused([`the ${missing.purpose} key in use, ${missing.id}, is missing`]);
  return verdict.list;
}

// A key that has ended or was stolen signs nothing more: devices that do not know the next one learn it with this list.
async function replaceEnded(
  trx: WriteTransaction,
  dependencies: KeyOrderDependencies,
  { nowSeconds, actor }: { readonly nowSeconds: number; readonly actor: string },
): Promise<void> {
  const { rows } = await readHubKeys(trx);
  const isOver = (row: HubKeyRow) => row.compromised === 1 || (row.until_seconds ?? Infinity) <= nowSeconds;
  const over = rows.filter((row) => row.status === 'active' && isOver(row));
  for (const { purpose } of over) {
    const next = rows.find((row) => row.purpose === purpose && row.status === 'next');
    if (next === undefined)
      throw new HubError('conflict', `the ${purpose} key in use ends with this list, and no other is on it`);
    await activateIn(trx, dependencies, { row: next, force: true, actor });
  }
}

// No device waits for it, and there is no former one to stay with.
async function useFirstBackupKey(
  trx: WriteTransaction,
  dependencies: KeyOrderDependencies,
  actor: string,
): Promise<void> {
  const rows = (await readHubKeys(trx)).rows.filter(({ purpose }) => purpose === 'backup');
  const row = rows.find(({ status }) => status === 'next');
  if (row === undefined || rows.some(({ status }) => status === 'active')) return;
  await activateIn(trx, dependencies, { row, force: true, actor });
}

/** Lets a certified key sign. Throws `conflict` while devices do not know a list that names it, unless forced. */
export async function activateKey(
  dependencies: KeyOrderDependencies,
  order: { readonly id: string; readonly force: boolean; readonly actor: string },
): Promise<void> {
  await dependencies.database.write(async (trx) => {
    const row = await assertKey(trx, order.id, ['next']);
    await activateIn(trx, dependencies, { ...order, row });
  });
  await dependencies.keyRing.reload();
}

async function activateIn(
  trx: WriteTransaction,
  { clock, keyStore, handLogOver }: Pick<KeyOrderDependencies, 'clock' | 'keyStore' | 'handLogOver'>,
  { row, force, actor }: { readonly row: HubKeyRow; readonly force: boolean; readonly actor: string },
): Promise<void> {
  const nowMs = clock();
  const { id, purpose, origin } = row;
  // Devices read no backups.
  const pending = purpose === 'backup' ? 0 : await countKeyListPending(trx, row.list_number ?? 0);
  if (pending > 0 && !force) {
    throw new HubError(
      'conflict',
      `its key list is not yet known by ${counted(pending, 'device')}: wait, or force it`,
      {
        reasons: [{ code: 'key-list-unknown', message: '`edgekeep authority keys` says how many' }],
      },
    );
  }
  const { rows } = await readHubKeys(trx);
  const former = rows.find((each) => each.purpose === purpose && each.status === 'active');
  const over = Math.floor(nowMs / 1_000) >= (row.until_seconds ?? Infinity);
  if (over) throw new HubError('conflict', `the ${purpose} key ${id} has ended`);
  await trx
    .updateTable('hub_key')
    .set({ status: 'previous' })
    .where('purpose', '=', purpose)
    .where('status', '=', 'active')
    .execute();
  await trx.updateTable('hub_key').set({ status: 'active', activated_at: nowMs }).where('id', '=', id).execute();
  const data = { purpose, former: former?.id ?? null, pending };
  await appendEntry(trx, { at: nowMs, kind: 'hub-key-activated', actor, subject: subjectOf(id), data });
  // Last: the entry that ends a log is its last one.
  if (purpose !== 'log') return;
  const next = { name: origin ?? '', signer: await readHubKey(keyStore, row) };
  await handLogOver(trx, { next, actor, nowMs });
}

/** Gives up a key that never signed. A certified one ends with the next list. */
export async function abandonKey(
  { database, keyRing, clock }: KeyOrderDependencies,
  { id, note, actor }: { readonly id: string; readonly note: string; readonly actor: string },
): Promise<void> {
  const nowMs = clock();
  await database.write(async (trx) => {
    await assertKey(trx, id, ['requested', 'next']);
    const changed = { status: 'abandoned', until_seconds: Math.floor(nowMs / 1_000) } as const;
    await trx.updateTable('hub_key').set(changed).where('id', '=', id).execute();
    await appendEntry(trx, { at: nowMs, kind: 'hub-key-abandoned', actor, subject: subjectOf(id), data: { note } });
  });
  await keyRing.reload();
}

/** The next key of each purpose whose present one ends within a day. */
export async function activateKeysDue(dependencies: KeyOrderDependencies): Promise<void> {
  const { keyRing, clock } = dependencies;
  const dueSeconds = clock() / 1_000 + daySeconds;
  const { rows } = keyRing.state;
  for (const { purpose, status, until_seconds: until } of rows) {
    if (status !== 'active' || until === null || until > dueSeconds) continue;
    const next = rows.find((row) => row.purpose === purpose && row.status === 'next');
    if (next !== undefined) await activateKey(dependencies, { id: next.id, force: true, actor: 'hub' });
  }
}

async function assertKey(
  trx: WriteTransaction,
  id: string,
  statuses: readonly HubKeyRow['status'][],
): Promise<HubKeyRow> {
  const row = await trx.selectFrom('hub_key').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined) throw new HubError('not-found', `no key ${id}: \`edgekeep authority keys\` lists them`);
  if (statuses.includes(row.status)) return row;
  throw new HubError('conflict', `the ${row.purpose} key ${id} is ${row.status}, expected ${statuses.join(' or ')}`);
}

/** Whether the key is certified or requested, and not in use yet. */
export function isWaiting({ status }: Pick<HubKeyRow, 'status'>): boolean {
  return status === 'requested' || status === 'next';
}

export function subjectOf(id: string): string {
  return `hub-key:${id}`;
}

function refused(reasons: readonly string[]): HubError {
  return new HubError('request-invalid', 'the key list is refused', {
    reasons: reasons.map((text) => ({ code: 'key-list-refused', message: text })),
  });
}
