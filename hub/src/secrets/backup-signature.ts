// The signature at the end of a backup (spec/platform-secrets.md, "Backup"): over every line of it, and so over the digest of every part, by a key of
// the hub that its root certified for backups.
import { createHash, verify } from 'node:crypto';
import {
  isValidAt,
  KEY_LIST_BYTES_MAX,
  keyIdOf,
  keysFor,
  openKeyList,
  signedKeyListSchema,
} from '@edgekeep/core/authority/key-list';
import { futureProblems } from '@edgekeep/core/authority/key-list-follow';
import { concat, parseBase64url, toBase64url, utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { encodeCanonicalJson, parseCanonicalJson } from '@edgekeep/core/json';
import { hashOf, signatureAlgorithmOf, type Signer } from '@edgekeep/core/signer';
import { z } from 'zod';
import { HubError } from '../common/error.ts';

/** The key list, in text, and the members around it. */
export const SIGNATURE_LINE_BYTES_MAX: number = 2 * KEY_LIST_BYTES_MAX;

const context = utf8('edgekeep-backup/v2\n');

const schema = z.strictObject({
  /** Unix milliseconds, by the machine's clock: no hub needs to run. */
  at: z.int().min(0),
  /** The key's id: SHA-256 of its SPKI, hex. */
  key: z.string().regex(/^[0-9a-f]{64}$/),
  keyList: signedKeyListSchema,
  signature: z.string().max(16_384),
});

/** A key that may sign backups, with the list that says so. */
export interface BackupSigner {
  readonly signer: Signer;
  /** The file of the list. */
  readonly keyList: Uint8Array;
}

/** Every line of a backup, in order: what the signature covers. */
export class LineDigest {
  readonly #hash = createHash('sha256');

  add(line: Uint8Array): void {
    this.#hash.update(line);
  }

  digest(): Uint8Array {
    return this.#hash.copy().digest();
  }
}

/** The content of the last line. */
export async function signBackup({ signer, keyList }: BackupSigner, lines: Uint8Array, nowMs: number) {
  const list = parseCanonicalJson(keyList, signedKeyListSchema, 'signed key list', 'key-list-invalid');
  const signature = toBase64url(await signer.sign(messageOf(lines, nowMs)));
  return { at: nowMs, key: keyIdOf(signer), keyList: { ...list }, signature };
}

export interface BackupOrigin {
  /** The verifier key of the hub's first log. */
  readonly hub: string;
  readonly atMs: number;
  readonly listNumber: number;
}

export interface BackupReader {
  readonly roots: readonly Certificate[];
  /** A later key list, as a file. */
  readonly newest?: Uint8Array | undefined;
  /** By the machine's clock. */
  readonly nowSeconds: number;
}

/**
 * Verifies the last line of a backup under these roots. `newest` is a later key list, as a file, that somebody kept apart: a key that it ends or names
 * as stolen counts no more. Throws `backup-refused`.
 */
export function verifyBackup(line: Uint8Array, lines: Uint8Array, trust: BackupReader): BackupOrigin {
  try {
    return verified(parseCanonicalJson(line, schema, 'signature of the backup'), lines, trust);
  } catch (cause) {
    if (cause instanceof CoreError) throw refused(cause.message);
    throw cause;
  }
}

function verified(
  { at, key, keyList, signature }: z.infer<typeof schema>,
  lines: Uint8Array,
  reader: BackupReader,
): BackupOrigin {
  const own = listIn(encodeCanonicalJson({ ...keyList }), reader);
  const list = reader.newest === undefined ? own : listIn(reader.newest, reader);
  if (list.hub !== own.hub) throw refused(`it is of the hub ${own.hub}, the key list that was given is of ${list.hub}`);
  if (list.number < own.number)
    throw refused(`its key list has number ${own.number}, the one that was given ${list.number}`);
  const listed = keysFor(list, 'backup').find((each) => keyIdOf(each) === key);
  if (listed === undefined) throw refused('its key is not one for backups in the key list');
  // The time is the key's own word: after a theft it is worth nothing.
  if (listed.compromised) throw refused('its key was stolen');
  if (!isValidAt(listed, Math.floor(at / 1_000))) throw refused('its key did not count at the time that it names');
  const { publicKey } = listed;
  const hash = hashOf(signatureAlgorithmOf(publicKey));
  if (!verify(hash, messageOf(lines, at), publicKey, parseBase64url(signature, 'signature')))
    throw refused('its signature is wrong: it was changed');
  return { hub: list.hub, atMs: at, listNumber: list.number };
}

function listIn(file: Uint8Array, { roots, nowSeconds }: BackupReader) {
  const verdict = openKeyList(file, roots);
  const reasons = verdict.kind === 'refused' ? verdict.reasons : futureProblems(verdict.list, nowSeconds);
  if (verdict.kind === 'refused' || reasons.length > 0) throw refused(reasons.join('; '));
  return verdict.list;
}

function messageOf(lines: Uint8Array, atMs: number): Uint8Array {
  return concat(context, encodeCanonicalJson({ at: atMs, lines: toBase64url(lines) }));
}

function refused(why: string): HubError {
  return new HubError('backup-refused', `this backup is not by a hub under that root: ${why}`);
}
