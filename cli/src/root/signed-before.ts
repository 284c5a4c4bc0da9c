// What a root has signed before. Its folder keeps the certificates of issuing CAs and the links of a roll-over: the same request gets the same
// answer again, with a warning, and no second certificate for one key is in the world without a decision.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex } from '@edgekeep/core/bytes';
import { type Certificate, certificateDigest, parseCertificate } from '@edgekeep/core/identity/certificate';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { replaceFile } from '@edgekeep/host/durable-file';
import { makeFolder } from '@edgekeep/host/make-folder';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { timeText } from '../table.ts';
import { readRecord } from './root-folder.ts';

const folderName = 'signed';

/** `name` is made from the ids of what was signed. */
export async function keepSigned(folder: string, name: string, certificates: readonly Certificate[]): Promise<void> {
  await makeFolder(join(folder, folderName), { mode: 0o700 });
  const pem = certificates.map(({ der }) => encodePem('CERTIFICATE', der)).join('');
  await replaceFile(join(folder, folderName, name), pem);
}

/** The certificates of an earlier ceremony; undefined when there was none, or the folder is of the version before. */
export async function signedBefore(folder: string, name: string): Promise<readonly Certificate[] | undefined> {
  const pem = await orIfMissing(readFile(join(folder, folderName, name), 'utf8'), undefined);
  return pem === undefined ? undefined : parsePem(pem, 'CERTIFICATE').map(parseCertificate);
}

/** When, by the ceremony's record; else since when it is valid. */
export async function signedAtText(folder: string, certificate: Certificate): Promise<string> {
  const digest = toHex(certificateDigest(certificate));
  const entry = (await readRecord(folder)).find(({ data }) => data['certificate'] === digest);
  return `${timeText(entry?.at ?? certificate.notBeforeSeconds * 1_000)} UTC`;
}

export function warnSignedBefore(lines: readonly string[]): void {
  process.stderr.write(
    `edgekeep: warning: this request was signed before:\n${lines.map((line) => `  ${line}\n`).join('')}`,
  );
}
