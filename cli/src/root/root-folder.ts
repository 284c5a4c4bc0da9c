// The folder of a root (spec/authorities.md): certificate, ceremony record, number of the last list, and the key unless a token has it. It
// is on removable media and used by two people twice a year, so errors say what it lacks.
import { makeFolder } from '@edgekeep/host/make-folder';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, orIfMissing } from '@edgekeep/host/missing-file';
import { CoreError } from '@edgekeep/core/error';
import { appendToRecord, type CeremonyEntry, parseRecord } from '@edgekeep/core/identity/ceremony-record';
import { type Certificate, parseCertificate, publicKeyOf } from '@edgekeep/core/identity/certificate';
import { encodeEncryptedKey, keyIvLength, keySaltLength } from '@edgekeep/core/identity/encrypted-key';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import type { Signer } from '@edgekeep/core/signer';
import { replaceFile, writeNewFile } from '@edgekeep/host/durable-file';
import type { KeyObject } from 'node:crypto';

export const rootFileNames = { key: 'root-key.pem', certificate: 'root.pem', record: 'ceremony.jsonl' } as const;

/** A root that is ready to sign. */
export interface OpenRoot {
  readonly folder: string;
  readonly certificate: Certificate;
  readonly signer: Signer;
}

/** Makes the folder, for its user only; refuses one that contains a root already. */
export async function makeRootFolder(folder: string): Promise<void> {
  await makeFolder(folder, { mode: 0o700 });
  for (const name of Object.values(rootFileNames)) {
    if (await exists(join(folder, name)))
      throw new CoreError('key-invalid', `${join(folder, name)} exists: a root is never overwritten`);
  }
}

/** The key under a passphrase; undefined writes it unencrypted. */
export async function writeRootKey(folder: string, key: KeyObject, passphrase: string | undefined): Promise<void> {
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  const random = { salt: randomBytes(keySaltLength), iv: randomBytes(keyIvLength) };
  const pem =
    passphrase === undefined
      ? key.export({ type: 'pkcs8', format: 'pem' }).toString()
      : encodeEncryptedKey(pkcs8, passphrase, random);
  pkcs8.fill(0);
  await writeNewFile(join(folder, rootFileNames.key), pem);
}

export async function writeRootCertificate(folder: string, { der }: Certificate): Promise<void> {
  await writeNewFile(join(folder, rootFileNames.certificate), encodePem('CERTIFICATE', der));
}

export async function readRootCertificate(folder: string): Promise<Certificate> {
  const path = join(folder, rootFileNames.certificate);
  const [der] = parsePem(await readFile(path, 'utf8'), 'CERTIFICATE');
  if (der === undefined) throw new CoreError('certificate-invalid', `${path} holds no certificate`);
  return parseCertificate(der);
}

/** Writes the record line about a signature, durably: before the signed object leaves the ceremony. */
export async function record(root: OpenRoot, entry: Omit<CeremonyEntry, 'type' | 'index' | 'previous'>): Promise<void> {
  const path = join(root.folder, rootFileNames.record);
  const next = await appendToRecord(await readRecordText(root.folder), entry, root.signer);
  await replaceFile(path, Buffer.from(next));
}

/** The recorded uses of the root's key. Throws `token-invalid` when the record does not verify. */
export async function readRecord(folder: string): Promise<readonly CeremonyEntry[]> {
  return parseRecord(await readRecordText(folder), publicKeyOf(await readRootCertificate(folder)));
}

async function readRecordText(folder: string): Promise<string> {
  // The root of `hub init` begins its record at the first ceremony.
  return orIfMissing(readFile(join(folder, rootFileNames.record), 'utf8'), '');
}
