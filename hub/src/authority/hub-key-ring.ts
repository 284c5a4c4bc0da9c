// The hub's own signing keys as the store has them (spec/key-list.md): which signs now, which the root has certified, and the newest list.
import { encodeVerifierKey, verifierKey } from '@edgekeep/core/audit/note';
import {
  type KeyList,
  type KeyPurpose,
  keyIdOf,
  keysFor,
  type ListedKey,
  logKeyOf,
  openKeyList,
} from '@edgekeep/core/authority/key-list';
import type { KnownKeyList } from '@edgekeep/core/authority/key-list-follow';
import { toHex } from '@edgekeep/core/bytes';
import { encodeSpki, keyIdentifierOf, parseSpki } from '@edgekeep/core/identity/public-key';
import type { Signer } from '@edgekeep/core/signer';
import { orIfMissing } from '@edgekeep/host/missing-file';
import type { Kysely } from 'kysely';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import type { SigningKey } from '../common/signing-key.ts';
import { firstHubKeyNames, type HubKeys, hubKeyName, readSigner } from '../secrets/hub-keys.ts';
import { initialCertificateFiles } from '../secrets/initial-certificates.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { HubKeyRow } from '../store/tables/authority.ts';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';
import { registerKeyListMetric } from './key-list-metric.ts';
import { readRoots } from './state.ts';

export interface HubKeyState {
  readonly rows: readonly HubKeyRow[];
  /** The newest list with its file; undefined before the root has signed one. */
  readonly list: (KnownKeyList & { readonly file: Uint8Array; readonly rootSha256: string }) | undefined;
}

export interface HubKeyRingDependencies {
  readonly database: Database;
  readonly keyStore: KeyStore;
  readonly keys: Pick<HubKeys, 'logSigner' | 'attestationSigner'>;
  /** Of the first log. */
  readonly logOrigin: string;
  readonly clock: Clock;
}

/** With the question whether it still counts for what it signs at this time. */
interface AttestationKey extends SigningKey {
  readonly countsIn: (db: Kysely<Tables>, atSeconds: number) => Promise<boolean>;
}

export class HubKeyRing {
  readonly #dependencies: HubKeyRingDependencies;
  #state: HubKeyState;
  #attestation: AttestationKey;
  /** What the store had when it was read last. */
  #read = '';

  private constructor(dependencies: HubKeyRingDependencies, state: HubKeyState, attestation: AttestationKey) {
    this.#dependencies = dependencies;
    this.#state = state;
    this.#attestation = attestation;
  }

  /** Adopts the first keys of a hub into a store that has none, and the list that was signed when the hub was made. */
  static async open(folder: string, dependencies: HubKeyRingDependencies): Promise<HubKeyRing> {
    const { database } = dependencies;
    const known = await database.read.selectFrom('hub_key').select('id').limit(1).executeTakeFirst();
    if (known === undefined) {
      const file = await orIfMissing(readFile(join(folder, 'keys', initialCertificateFiles.keyList)), undefined);
      await database.writeAsHub((trx) => adopt(trx, dependencies, file));
    }
    const state = await readHubKeys(database.read);
    return new HubKeyRing(dependencies, state, await signingKey(dependencies, state.rows));
  }

  get state(): HubKeyState {
    return this.#state;
  }

  /** The key that signs attestation results now. */
  readonly attestation = (): AttestationKey => this.#attestation;

  /** Keys and times for trust files: those of the list, or those in use before there is one. */
  get listed(): Pick<KeyList, 'keys'> {
    return (
      this.#state.list?.list ?? { keys: this.#state.rows.filter(({ status }) => status === 'active').map(listedKey) }
    );
  }

  /** Reads the store again where another node changed a key or the list. */
  readonly polls = async (): Promise<void> => {
    const found = await keysInStore(this.#dependencies.database.read);
    if (found === this.#read) return;
    await this.reload();
    this.#read = found;
  };

  /** Reads the store again. */
  readonly reload = async (): Promise<void> => {
    const state = await readHubKeys(this.#dependencies.database.read);
    this.#attestation = await signingKey(this.#dependencies, state.rows);
    this.#state = state;
  };

  readonly metrics = (registry: Registry): void =>
    registerKeyListMetric(registry, () => this.#state.list?.list, this.#dependencies.clock);
}

/** One text for what the keys and the newest list are now. */
async function keysInStore(db: Kysely<Tables>): Promise<string> {
  const rows = await db
    .selectFrom('hub_key')
    .select(['id', 'status', 'list_number', 'from_seconds', 'until_seconds', 'compromised', 'activated_at'])
    .orderBy('id')
    .execute();
  const list = await db
    .selectFrom('key_list')
    .select((q) => q.fn.max('number').as('newest'))
    .executeTakeFirst();
  return JSON.stringify([rows, list?.newest ?? null]);
}

/** The keys in the order in which they were added, and the newest list, as `db` has them. */
export async function readHubKeys(db: Kysely<Tables>): Promise<HubKeyState> {
  const rows = await db.selectFrom('hub_key').selectAll().orderBy('added_at').orderBy('purpose', 'desc').execute();
  const newest = await db.selectFrom('key_list').selectAll().orderBy('number', 'desc').limit(1).executeTakeFirst();
  if (newest === undefined) return { rows, list: undefined };
  const roots = await readRoots(db);
  const verdict = openKeyList(
    newest.file,
    roots.map(({ certificate }) => certificate),
  );
  if (verdict.kind === 'refused')
    throw new HubError('store-failed', `the key list in the store is refused: ${verdict.reasons.join('; ')}`);
  return { rows, list: { ...verdict, file: newest.file, rootSha256: newest.root_sha256 } };
}

/** A row in the form of the list. */
export function listedKey(row: HubKeyRow): ListedKey {
  return {
    purpose: row.purpose,
    publicKey: parseSpki(row.spki),
    origin: row.origin ?? undefined,
    fromSeconds: row.from_seconds,
    untilSeconds: row.until_seconds ?? undefined,
    compromised: row.compromised === 1,
  };
}

/** The verifier key of the first log: the hub's name in its lists. Throws `store-failed` for a store without one. */
export function hubOf(rows: readonly HubKeyRow[]): string {
  const first = rows.find(({ purpose }) => purpose === 'log');
  if (first === undefined) throw new HubError('store-failed', 'the store names no log key: restore it from a backup');
  return encodeVerifierKey(logKeyOf(listedKey(first)));
}

/** The private key of a row. Throws `settings-invalid` when it is not in the key store. */
export async function readHubKey(
  keyStore: KeyStore,
  { id, purpose }: Pick<HubKeyRow, 'id' | 'purpose'>,
): Promise<Signer> {
  const first = purpose === 'log' || purpose === 'attestation-result' ? [firstHubKeyNames[purpose]] : [];
  for (const name of [hubKeyName(id), ...first]) {
    const signer = await readSigner(keyStore, name);
    if (signer !== undefined && keyIdOf(signer) === id) return signer;
  }
  throw new HubError('settings-invalid', `the ${purpose} key ${id} is not in the key store: restore it from a backup`);
}

const endOfKey = prepared<{ id: string }, Pick<HubKeyRow, 'compromised' | 'until_seconds'>>((db, value) =>
  db.selectFrom('hub_key').select(['compromised', 'until_seconds']).where('id', '=', value('id')),
);

async function signingKey({ keyStore }: HubKeyRingDependencies, rows: readonly HubKeyRow[]): Promise<AttestationKey> {
  const active = rows.find(({ purpose, status }) => purpose === 'attestation-result' && status === 'active');
  if (active === undefined)
    throw new HubError(
      'store-failed',
      'the store names no key for attestation results in use: restore it from a backup',
    );
  const { id } = active;
  return {
    signer: await readHubKey(keyStore, active),
    keyId: toHex(keyIdentifierOf(active.spki)),
    countsIn: async (db, atSeconds) => {
      const [row] = await endOfKey(db, { id });
      return row?.compromised === 0 && atSeconds < (row.until_seconds ?? Infinity);
    },
  };
}

async function adopt(
  trx: WriteTransaction,
  { keys, keyStore, logOrigin, clock }: HubKeyRingDependencies,
  file: Uint8Array | undefined,
): Promise<void> {
  const nowMs = clock();
  const first: readonly (readonly [KeyPurpose, Signer, string | null])[] = [
    ['log', keys.logSigner, logOrigin],
    ['attestation-result', keys.attestationSigner, null],
  ];
  for (const [purpose, signer, origin] of first) {
    const row = { purpose, origin, spki: encodeSpki(signer.publicKey), id: keyIdOf(signer), status: 'active' } as const;
    const times = { from_seconds: 0, until_seconds: null, compromised: 0, added_at: nowMs, activated_at: nowMs };
    await trx
      .insertInto('hub_key')
      .values({ ...row, ...times, list_number: null })
      .execute();
  }
  if (file === undefined) return;
  const roots = await readRoots(trx);
  const verdict = openKeyList(
    file,
    roots.map(({ certificate }) => certificate),
  );
  // One of another root, or of the folder of another hub: it is as if there were none.
  const hub = encodeVerifierKey(verifierKey(logOrigin, keys.logSigner.publicKey, 'ed25519'));
  if (verdict.kind === 'refused' || verdict.list.hub !== hub) return;
  await adoptBackupKey(trx, keyStore, verdict.list, nowMs);
  await insertKeyList(trx, verdict.list, { file, rootSha256: rootOf(file), nowMs });
  await trx.updateTable('hub_key').set({ list_number: verdict.list.number }).execute();
}

// The first list names one since hubs are made with it; a store without its key, of a version before, gets none.
async function adoptBackupKey(trx: WriteTransaction, keyStore: KeyStore, list: KeyList, nowMs: number): Promise<void> {
  const [listed] = keysFor(list, 'backup');
  const signer = listed === undefined ? undefined : await readSigner(keyStore, hubKeyName(keyIdOf(listed)));
  if (listed === undefined || signer === undefined) return;
  const row = { id: keyIdOf(listed), purpose: 'backup', status: 'active', origin: null } as const;
  const times = { from_seconds: listed.fromSeconds, until_seconds: null, compromised: 0 };
  const added = { spki: encodeSpki(signer.publicKey), added_at: nowMs, activated_at: nowMs, list_number: null };
  await trx
    .insertInto('hub_key')
    .values({ ...row, ...times, ...added })
    .execute();
}

/** The newest signed list, as devices get it. */
export function keyListText({ state: { list } }: Pick<HubKeyRing, 'state'>): string | null {
  return list === undefined ? null : Buffer.from(list.file).toString('utf8');
}

/** SHA-256 of the root that a signed list names. */
export function rootOf(file: Uint8Array): string {
  return /"root":"([0-9a-f]{64})"/.exec(Buffer.from(file).toString('latin1'))?.[1] ?? '';
}

export async function insertKeyList(
  trx: WriteTransaction,
  list: KeyList,
  { file, rootSha256, nowMs }: { readonly file: Uint8Array; readonly rootSha256: string; readonly nowMs: number },
): Promise<void> {
  await trx
    .insertInto('key_list')
    .values({
      number: list.number,
      root_sha256: rootSha256,
      file,
      issued_seconds: list.issuedAtSeconds,
      valid_until_seconds: list.validUntilSeconds,
      installed_at: nowMs,
    })
    .execute();
}
