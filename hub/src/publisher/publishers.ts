// Publishers: the public keys whose signatures on models and reference values this hub accepts.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { CoreError } from '@edgekeep/core/error';
import { encodePublicKeyPem, parsePublicKeyPem } from '@edgekeep/core/identity/public-key';
import { keyFingerprint } from '@edgekeep/core/model/signature/key-mode';
import { signatureAlgorithmOf } from '@edgekeep/core/signer';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { Database } from '../store/database.ts';

export interface Publisher {
  /** SHA-256 of the key's PEM text, hex: what OMS bundles name as their hint. */
  readonly fingerprint: string;
  readonly name: string;
  readonly publicKey: KeyObject;
  readonly publicKeyPem: string;
}

export async function listPublishers(database: Database): Promise<readonly Publisher[]> {
  const rows = await database.read.selectFrom('publisher').selectAll().orderBy('added_at').execute();
  return rows.map((row) => ({
    fingerprint: row.fingerprint,
    name: row.name,
    publicKey: createPublicKey(row.public_key),
    publicKeyPem: row.public_key,
  }));
}

/** Trusts a publisher from now on; a key that is trusted already changes nothing. */
export async function trustPublisher(
  database: Database,
  order: { readonly name: string; readonly publicKey: string; readonly actor: string; readonly nowMs: number },
): Promise<Publisher> {
  const publicKey = parsePublicKey(order.publicKey);
  const fingerprint = keyFingerprint(publicKey);
  const publicKeyPem = encodePublicKeyPem(publicKey);
  await database.write(async (trx) => {
    const known = await trx
      .selectFrom('publisher')
      .select('fingerprint')
      .where('fingerprint', '=', fingerprint)
      .executeTakeFirst();
    if (known !== undefined) return;
    await trx
      .insertInto('publisher')
      .values({ fingerprint, name: order.name, public_key: publicKeyPem, added_at: order.nowMs })
      .execute();
    const data = { name: order.name };
    await appendEntry(trx, {
      at: order.nowMs,
      kind: 'publisher-trusted',
      actor: order.actor,
      subject: fingerprint,
      data,
    });
  });
  return { fingerprint, name: order.name, publicKey, publicKeyPem };
}

function parsePublicKey(pem: string): KeyObject {
  if (pem.includes('PRIVATE KEY')) {
    throw new HubError('request-invalid', 'this is a private key: keep it, and send the public one (PUBLIC KEY)');
  }
  let key: KeyObject;
  try {
    key = parsePublicKeyPem(pem);
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new HubError('request-invalid', `expected a public key in PEM form: ${cause.message}`, { cause });
  }
  if (signatureAlgorithmOf(key) === 'ed25519') {
    throw new HubError('request-invalid', 'OpenSSF Model Signing takes P-256, P-384 or P-521 keys, found Ed25519');
  }
  return key;
}
