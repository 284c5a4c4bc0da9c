// Publishers: the public keys whose signatures on models and reference values this hub accepts.
import { CoreError } from '@edgekeep/core/error';
import { keyFingerprint } from '@edgekeep/core/model/signature/key-mode';
import { encodePublisherKey, parsePublisherKey, type PublisherKey } from '@edgekeep/core/model/signature/publisher-key';
import { signatureAlgorithmOf } from '@edgekeep/core/signer';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { Database, WriteTransaction } from '../store/database.ts';

export interface Publisher extends PublisherKey {
  /** SHA-256 of the key's PEM text, hex: what OMS bundles name as their hint. */
  readonly fingerprint: string;
  readonly name: string;
  readonly publicKeyPem: string;
  /** From then on nothing new that it signed is accepted; undefined: no end is set. */
  readonly endsAtMs: number | undefined;
}

export async function listPublishers(database: Database): Promise<readonly Publisher[]> {
  const rows = await database.read
    .selectFrom('publisher')
    .leftJoin('publisher_end', 'publisher_end.fingerprint', 'publisher.fingerprint')
    .select(['publisher.fingerprint', 'name', 'public_key', 'ends_at'])
    .orderBy('added_at')
    .execute();
  return rows.map((row) => ({
    fingerprint: row.fingerprint,
    name: row.name,
    ...parsePublisherKey(row.public_key),
    publicKeyPem: row.public_key,
    endsAtMs: row.ends_at ?? undefined,
  }));
}

/**
 * For what is accepted now, in its transaction. Throws `publisher-untrusted` for a publisher that is not trusted any more, or has ended: a signature has
 * no time, so what comes after the end counts as signed after it.
 */
export async function assertPublisher(trx: WriteTransaction, fingerprint: string, nowMs: number): Promise<void> {
  const found = await trx
    .selectFrom('publisher')
    .leftJoin('publisher_end', 'publisher_end.fingerprint', 'publisher.fingerprint')
    .select(['name', 'ends_at', 'ordered_at'])
    .where('publisher.fingerprint', '=', fingerprint)
    .executeTakeFirst();
  if (found === undefined)
    throw new HubError('publisher-untrusted', `the publisher ${fingerprint} is no longer trusted`);
  const { name, ends_at: endsAt, ordered_at: orderedAt } = found;
  // The end may have been ordered after this request began: then it is later now than the request knows.
  if (endsAt !== null && endsAt <= Math.max(nowMs, orderedAt ?? 0))
    throw new HubError('publisher-untrusted', `the publisher ${name} ended on ${new Date(endsAt).toISOString()}`);
}

/**
 * Trusts a publisher from now on; a key that is trusted already changes nothing, except that a publisher without a key of ML-DSA-65 gets one:
 * from then on both must sign. Such a key is neither exchanged nor taken away.
 */
export async function trustPublisher(
  database: Database,
  order: { readonly name: string; readonly publicKey: string; readonly actor: string; readonly nowMs: number },
): Promise<Publisher> {
  const key = parseOrder(order.publicKey);
  const fingerprint = keyFingerprint(key.publicKey);
  const publicKeyPem = await database.write(async (trx) => {
    const known = await trx
      .selectFrom('publisher')
      .select('public_key')
      .where('fingerprint', '=', fingerprint)
      .executeTakeFirst();
    if (known !== undefined) {
      await assertNotEnded(trx, fingerprint);
      return strengthen(trx, known.public_key, key, { ...order, fingerprint });
    }
    const pem = encodePublisherKey(key);
    await trx
      .insertInto('publisher')
      .values({ fingerprint, name: order.name, public_key: pem, added_at: order.nowMs })
      .execute();
    const data = { name: order.name, ...(key.postQuantum === undefined ? {} : { postQuantum: true }) };
    await appendEntry(trx, {
      at: order.nowMs,
      kind: 'publisher-trusted',
      actor: order.actor,
      subject: fingerprint,
      data,
    });
    return pem;
  });
  return { fingerprint, name: order.name, ...parsePublisherKey(publicKeyPem), publicKeyPem, endsAtMs: undefined };
}

// An end is not taken back by an order that says nothing about it.
async function assertNotEnded(trx: WriteTransaction, fingerprint: string): Promise<void> {
  const end = await trx.selectFrom('publisher_end').select('ends_at').where('fingerprint', '=', fingerprint).execute();
  if (end.length > 0)
    throw new HubError('conflict', 'this publisher has an end, which is not taken back: a new one needs a new key');
}

interface Strengthening {
  readonly fingerprint: string;
  readonly actor: string;
  readonly nowMs: number;
}

async function strengthen(
  trx: WriteTransaction,
  knownPem: string,
  key: PublisherKey,
  { fingerprint, actor, nowMs }: Strengthening,
): Promise<string> {
  const known = parsePublisherKey(knownPem);
  if (key.postQuantum === undefined) return knownPem;
  if (known.postQuantum !== undefined) {
    if (known.postQuantum.equals(key.postQuantum)) return knownPem;
    throw new HubError('conflict', 'this publisher has another key of ML-DSA-65: a new one is a new publisher');
  }
  const pem = encodePublisherKey(key);
  await trx.updateTable('publisher').set({ public_key: pem }).where('fingerprint', '=', fingerprint).execute();
  await appendEntry(trx, { at: nowMs, kind: 'publisher-strengthened', actor, subject: fingerprint, data: {} });
  return pem;
}

function parseOrder(pem: string): PublisherKey {
  if (pem.includes('PRIVATE KEY')) {
    throw new HubError('request-invalid', 'this is a private key: keep it, and send the public one (PUBLIC KEY)');
  }
  let key: PublisherKey;
  try {
    key = parsePublisherKey(pem);
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new HubError('request-invalid', `expected a public key in PEM form: ${cause.message}`, { cause });
  }
  if (signatureAlgorithmOf(key.publicKey) === 'ed25519') {
    throw new HubError('request-invalid', 'OpenSSF Model Signing takes P-256, P-384 or P-521 keys, found Ed25519');
  }
  return key;
}
