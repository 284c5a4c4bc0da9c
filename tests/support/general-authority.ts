// Gives a hub that was not started yet the one issuing CA that hubs had before there were classes, in the files in which they had it.
import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { issuingAuthorityProfile } from '@edgekeep/core/identity/profile';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { signerFromKey } from '@edgekeep/core/signer';

export async function makeGeneral(hubFolder: string, rootFolder: string): Promise<void> {
  const keys = join(hubFolder, 'keys');
  for (const name of await readdir(keys)) if (name.startsWith('issuing-')) await rm(join(keys, name));
  const [der = new Uint8Array(0)] = parsePem(await readFile(join(rootFolder, 'root.pem'), 'utf8'), 'CERTIFICATE');
  const root = parseCertificate(der);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { notBeforeSeconds } = root;
  const input = {
    spki: encodeSpki(publicKey),
    serialRandom: randomBytes(16),
    notBeforeSeconds,
    notAfterSeconds: notBeforeSeconds + 5 * 31_557_600,
  };
  const template = issuingAuthorityProfile(input, root, commonNameOnly('Edgekeep issuing CA'));
  const signer = signerFromKey(createPrivateKey(await readFile(join(rootFolder, 'root-key.pem'))));
  await writeFile(join(keys, 'issuing.pem'), encodePem('CERTIFICATE', await issueCertificate(template, signer)));
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  await writeFile(join(keys, 'issuing-key.pem'), pem, { mode: 0o600 });
}
