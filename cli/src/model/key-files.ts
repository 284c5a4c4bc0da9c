// Keys, certificates and signatures as files.
import { messageOf } from '@edgekeep/core/message-of';
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { CoreError } from '@edgekeep/core/error';
import { type Certificate, parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { canonicalKey } from '@edgekeep/core/identity/public-key';
import { type Signer, signerFromKey } from '@edgekeep/core/signer';
import { readBounded, readSecretFile } from '../bounded-file.ts';

/** A PEM key is under 1 KiB; a bundle of authorities under this. */
const PEM_LENGTH_MAX = 1024 * 1024;

export async function readSigner(path: string): Promise<Signer> {
  const pem = Buffer.from(await readSecretFile(path, PEM_LENGTH_MAX)).toString('utf8');
  return signerFromKey(parseKey(path, () => createPrivateKey(pem)));
}

/** A PEM public key. */
export async function readPublicKey(path: string): Promise<KeyObject> {
  const pem = await readPem(path);
  return parseKey(path, () => canonicalKey(createPublicKey(pem)));
}

/** DER certificates from a PEM file, in its order. */
export async function readCertificateChain(path: string): Promise<readonly Uint8Array[]> {
  return parsePem(await readPem(path), 'CERTIFICATE');
}

export async function readTrustRoots(path: string): Promise<readonly Certificate[]> {
  return (await readCertificateChain(path)).map((der) => parseForeignCertificate(der));
}

async function readPem(path: string): Promise<string> {
  return Buffer.from(await readBounded(path, PEM_LENGTH_MAX)).toString('utf8');
}

function parseKey(path: string, parse: () => KeyObject): KeyObject {
  try {
    return parse();
  } catch (cause) {
    const reason = messageOf(cause);
    throw new CoreError('key-invalid', `${path}: not a PEM key that can be read without a password: ${reason}`, {
      cause,
    });
  }
}
