// Replacing the hub's own signing keys (spec/key-list.md, "Replacing a key"): request, install, activate, give up. Each step is one transaction
// with its audit entry.
import { counted } from '@edgekeep/core/counted';
import { generateKeyPairSync } from 'node:crypto';
import type { NoteSigner } from '@edgekeep/core/audit/note';
import { encodeKeyListRequest } from '@edgekeep/core/authority/key-list-request';
import { followKeyList } from '@edgekeep/core/authority/key-list-follow';
import { type KeyList, keyIdOf, openKeyList } from '@edgekeep/core/authority/key-list';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { signerFromKey } from '@edgekeep/core/signer';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { hubKeyName, privatePem } from '../secrets/hub-keys.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { HubKeyRow } from '../store/tables/authority.ts';
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

/** The keys that a hub of this version replaces. */
type ReplacedPurpose = 'log' | 'attestation-result' | 'backup';

/** The part of a hand-over inside the transaction: the log ends, and the next begins. */
export type HandLogOver = (
  trx: WriteTransaction,
  order: { readonly next: NoteSigner; readonly actor: string; readonly nowMs: number },
) => Promise<void>;

export interface KeyOrderDependencies extends AuthorityDependencies {
  readonly keyRing: HubKeyRing;
  readonly handLogOver: HandLogOver;
}

export interface KeyRequestOrder {
  /** The keys to replace; empty: the list is only signed again. */
  readonly purposes: readonly ReplacedPurpose[];
  /** When the present keys of these purposes stopped to be the hub's alone, Unix seconds; left out: they were not stolen. */
  readonly stolenAtSeconds?: number | undefined;
  /** At least; left out: the number behind the installed list. */
  readonly number?: number | undefined;
  readonly actor: string;
}

/** Makes the next keys, durably, and the request for the next list. A key that waits already is requested again. */
export async function requestKeys(dependencies: KeyOrderDependencies, order: KeyRequestOrder): Promise<Uint8Array> {
  const { database, keyStore, clock, settings } = dependencies;
  const { purposes, stolenAtSeconds, actor } = order;
  const before = await readHubKeys(database.read);
  const made = purposes
    .filter((each) => waiting(before.rows, each) === undefined)
    .map((each) => newKey(each, before.rows));
  // Before the rows: a row always has its key, and a key without a row is useless.
  for (const { id, key } of made) {
    const pem = privatePem(key);
    await keyStore.add(hubKeyName(id), pem).finally(() => pem.fill(0));
  }
  const nowMs = clock();
  const state = await database.write(async (trx) => {
    for (const { id, purpose, origin, spki } of made) {
      const row = { id, purpose, origin, spki, status: 'requested', from_seconds: Math.floor(nowMs / 1_000) } as const;
      const times = { until_seconds: null, compromised: 0, added_at: nowMs, activated_at: null, list_number: null };
      await trx
        .insertInto('hub_key')
        .values({ ...row, ...times })
        .execute();
      const data = { purpose, stolen: stolenAtSeconds !== undefined };
      await appendEntry(trx, { at: nowMs, kind: 'hub-key-requested', actor, subject: subjectOf(id), data });
    }
    return readHubKeys(trx);
  });
  const ends = {
    purposes,
    atSeconds: stolenAtSeconds ?? Math.floor(nowMs / 1_000) + settings.authorities.overlapDays * daySeconds,
    compromised: stolenAtSeconds !== undefined,
  };
  const rows = state.rows.filter(isToList).map((row) => ended(row, ends));
  const next = (state.list?.list.number ?? 0) + 1;
  const content = { hub: hubOf(state.rows), number: Math.max(next, order.number ?? next), keys: rows.map(listedKey) };
  const signers = await Promise.all(
    rows.filter((row) => row.until_seconds === null).map((row) => readHubKey(keyStore, row)),
  );
  return encodeKeyListRequest(content, signers);
}

function waiting(rows: readonly HubKeyRow[], purpose: ReplacedPurpose): HubKeyRow | undefined {
  return rows.find((row) => row.purpose === purpose && (row.status === 'requested' || row.status === 'next'));
}

function newKey(purpose: ReplacedPurpose, rows: readonly HubKeyRow[]) {
  const { privateKey: key } =
    purpose === 'log' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { publicKey } = signerFromKey(key);
  const logs = rows.filter((row) => row.purpose === 'log');
  // A log has an origin of its own: the first one, and a number.
  const origin = purpose === 'log' ? `${logs[0]?.origin ?? ''}/${logs.length + 1}` : null;
  return { purpose, key, origin, id: keyIdOf({ publicKey }), spki: encodeSpki(publicKey) };
}

// A key that no list names and that was given up is nowhere.
function isToList({ status, list_number: listed }: HubKeyRow): boolean {
  return status === 'requested' || status === 'active' || listed !== null;
}

function ended(
  row: HubKeyRow,
  ends: { readonly purposes: readonly string[]; readonly atSeconds: number; readonly compromised: boolean },
): HubKeyRow {
  if (row.status !== 'active' || !ends.purposes.includes(row.purpose)) return row;
  const until = Math.min(row.until_seconds ?? Infinity, ends.atSeconds);
  return { ...row, until_seconds: until, compromised: ends.compromised ? 1 : row.compromised };
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
      const status = row.status === 'requested' ? 'next' : row.status;
      const times = { from_seconds: key.fromSeconds, until_seconds: key.untilSeconds ?? null };
      const changed = { ...times, compromised: key.compromised ? 1 : 0, list_number: row.list_number ?? list.number };
      await trx
        .updateTable('hub_key')
        .set({ status, ...changed })
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

function subjectOf(id: string): string {
  return `hub-key:${id}`;
}

function refused(reasons: readonly string[]): HubError {
  return new HubError('request-invalid', 'the key list is refused', {
    reasons: reasons.map((text) => ({ code: 'key-list-refused', message: text })),
  });
}
