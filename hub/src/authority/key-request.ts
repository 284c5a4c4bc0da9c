// The request for the next key list (spec/key-list.md, "The request"): the next keys are made, the ends are set, and stolen keys are named.
import { generateKeyPairSync } from 'node:crypto';
import { keyIdOf, type KeyPurpose } from '@edgekeep/core/authority/key-list';
import { encodeKeyListRequest } from '@edgekeep/core/authority/key-list-request';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { signerFromKey } from '@edgekeep/core/signer';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { hubKeyName, privatePem } from '../secrets/hub-keys.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { HubKeyRow } from '../store/tables/authority.ts';
import { hubOf, listedKey, readHubKey, readHubKeys } from './hub-key-ring.ts';
import { isWaiting, type KeyOrderDependencies, subjectOf } from './key-orders.ts';

const daySeconds = 86_400;
/** How far the clock of the person's machine may be ahead of the hub's. */
const CLOCK_SKEW_SECONDS_MAX = 300;

/** The keys that a hub of this version replaces. */
const replaced = ['log', 'attestation-result', 'backup'] as const;
type ReplacedPurpose = (typeof replaced)[number];

export interface KeyRequestOrder {
  /** The keys to replace; empty: the list is only signed again. */
  readonly purposes: readonly ReplacedPurpose[];
  /** Ids of keys in any status that were stolen. One in use is replaced, too. */
  readonly stolenKeys?: readonly string[] | undefined;
  /** When these keys, and the present ones of these purposes, stopped to be the hub's alone, Unix seconds; left out: none was stolen. */
  readonly stolenAtSeconds?: number | undefined;
  /** At least; left out: the number behind the installed list. */
  readonly number?: number | undefined;
  readonly actor: string;
}

/**
 * Makes the next keys, durably, and the request for the next list. A key that waits already is requested again; one that was stolen before it was in
 * use is given up at once.
 */
export async function requestKeys(dependencies: KeyOrderDependencies, order: KeyRequestOrder): Promise<Uint8Array> {
  const { database, keyStore, clock, settings } = dependencies;
  const { actor } = order;
  const stolenAtSeconds = order.stolenAtSeconds && theftBy(order.stolenAtSeconds, Math.floor(clock() / 1_000));
  const before = await readHubKeys(database.read);
  const stolen = stolenIds(before.rows, { ...order, stolenAtSeconds });
  const purposes = replacedPurposes(before.rows, order.purposes, stolen);
  const made = purposes
    .filter((each) => !before.rows.some((row) => row.purpose === each && isWaiting(row) && !stolen.includes(row.id)))
    .map((each) => newKey(each, before.rows));
  // Before the rows: a row always has its key, and a key without a row is useless.
  for (const { id, key } of made) {
    const pem = privatePem(key);
    await keyStore.add(hubKeyName(id), pem).finally(() => pem.fill(0));
  }
  const nowMs = clock();
  const state = await database.write(async (trx) => {
    for (const key of made)
      await addRequested(trx, { key, stolen: stolenAtSeconds !== undefined, by: { at: nowMs, actor } });
    for (const row of (await readHubKeys(trx)).rows.filter(({ id }) => stolen.includes(id)))
      await declareStolen(trx, { row, atSeconds: stolenAtSeconds ?? 0, by: { at: nowMs, actor } });
    return readHubKeys(trx);
  });
  const plannedEnd = Math.floor(nowMs / 1_000) + settings.authorities.overlapDays * daySeconds;
  const rows = state.rows.flatMap((row) => {
    if (stolenAtSeconds !== undefined && stolen.includes(row.id)) return endedBy(row, stolenAtSeconds, true);
    if (row.status === 'active' && includes(purposes, row.purpose)) return endedBy(row, plannedEnd, false);
    return isToList(row) ? row : [];
  });
  const next = (state.list?.list.number ?? 0) + 1;
  const content = { hub: hubOf(state.rows), number: Math.max(next, order.number ?? next), keys: rows.map(listedKey) };
  const signers = await Promise.all(
    rows.filter((row) => row.until_seconds === null).map((row) => readHubKey(keyStore, row)),
  );
  return encodeKeyListRequest(content, signers);
}

/** The time of a theft; "now" by the clock of the person's machine, which may be a little ahead, is now. */
function theftBy(stolenAtSeconds: number, nowSeconds: number): number {
  if (stolenAtSeconds > nowSeconds + CLOCK_SKEW_SECONDS_MAX)
    throw new HubError(
      'request-invalid',
      'the time of the theft is in the future: the key would count for the thief until then',
    );
  return Math.min(stolenAtSeconds, nowSeconds);
}

/** The ids of all keys that the order declares stolen. Throws `not-found` for one that is no key of this hub. */
function stolenIds(
  rows: readonly HubKeyRow[],
  { purposes, stolenKeys = [], stolenAtSeconds }: KeyRequestOrder,
): readonly string[] {
  const unknown = stolenKeys.find((id) => rows.every((row) => row.id !== id));
  if (unknown !== undefined)
    throw new HubError('not-found', `no key ${unknown}: \`edgekeep authority keys\` lists them`);
  if (stolenKeys.length > 0 && stolenAtSeconds === undefined)
    throw new HubError('request-invalid', 'stolen keys are named without the time of the theft');
  if (stolenAtSeconds === undefined) return [];
  const present = rows.filter(({ status, purpose }) => status === 'active' && includes(purposes, purpose));
  return [...new Set([...stolenKeys, ...present.map(({ id }) => id)])];
}

/** Those that are asked for, those whose key in use was stolen, and the key for backups where the hub never had one: no ceremony is for it alone. */
function replacedPurposes(
  rows: readonly HubKeyRow[],
  asked: readonly ReplacedPurpose[],
  stolen: readonly string[],
): readonly ReplacedPurpose[] {
  const lost = rows.filter(({ id, status }) => status === 'active' && stolen.includes(id));
  const isMissing = (each: ReplacedPurpose) => each === 'backup' && rows.every(({ purpose }) => purpose !== each);
  return replaced.filter(
    (each) => asked.includes(each) || isMissing(each) || lost.some(({ purpose }) => purpose === each),
  );
}

function includes(purposes: readonly ReplacedPurpose[], purpose: KeyPurpose): boolean {
  return purposes.some((each) => each === purpose);
}

interface By {
  readonly at: number;
  readonly actor: string;
}

async function addRequested(
  trx: WriteTransaction,
  { key, stolen, by }: { readonly key: ReturnType<typeof newKey>; readonly stolen: boolean; readonly by: By },
): Promise<void> {
  const { id, purpose, origin, spki } = key;
  const row = { id, purpose, origin, spki, status: 'requested', from_seconds: Math.floor(by.at / 1_000) } as const;
  const times = { until_seconds: null, compromised: 0, added_at: by.at, activated_at: null, list_number: null };
  await trx
    .insertInto('hub_key')
    .values({ ...row, ...times })
    .execute();
  await appendEntry(trx, { ...by, kind: 'hub-key-requested', subject: subjectOf(id), data: { purpose, stolen } });
}

// A key that is not in use yet ends here: between the request and the list, the hub must not begin to sign with it.
async function declareStolen(
  trx: WriteTransaction,
  { row, atSeconds, by }: { readonly row: HubKeyRow; readonly atSeconds: number; readonly by: By },
): Promise<void> {
  const { id, purpose, status } = row;
  if (isWaiting(row)) {
    const { until_seconds, compromised } = endedBy(row, atSeconds, true);
    const changed = { status: 'abandoned', until_seconds, compromised } as const;
    await trx.updateTable('hub_key').set(changed).where('id', '=', id).execute();
  }
  const data = { purpose, status, stolenAt: atSeconds * 1_000 };
  await appendEntry(trx, { ...by, kind: 'hub-key-declared-stolen', subject: subjectOf(id), data });
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

// A key that no list names and that was given up is nowhere, but a stolen one is named: a list that the root signed before may name it without an end.
function isToList({ status, list_number: listed, compromised }: HubKeyRow): boolean {
  return status === 'requested' || status === 'active' || listed !== null || compromised === 1;
}

/** The row with an end: never later than the one that it has, and never before its beginning. */
function endedBy(row: HubKeyRow, atSeconds: number, stolen: boolean): HubKeyRow {
  const until = Math.max(row.from_seconds, Math.min(row.until_seconds ?? Infinity, atSeconds));
  return { ...row, until_seconds: until, compromised: stolen ? 1 : row.compromised };
}
