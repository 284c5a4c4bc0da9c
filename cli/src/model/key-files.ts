// Keys, certificates and signatures as files: read with a limit, so that a wrong path (a model, /dev/zero) is an error and not a wait.
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { open } from 'node:fs/promises';
import { CoreError } from '@edgekeep/core/error';
import { type Certificate, parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { canonicalKey } from '@edgekeep/core/identity/public-key';
import { type Signer, signerFromKey } from '@edgekeep/core/signer';

/** A PEM key is under 1 KiB; a bundle of authorities under this. */
const PEM_LENGTH_MAX = 1024 * 1024;

/** The whole file, if it has at most `most` bytes; else throws `bytes-too-long`. */
export async function readBounded(path: string, most: number): Promise<Uint8Array> {
  const handle = await open(path);
  try {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of handle.createReadStream({ end: most, autoClose: false })) {
      if (!(part instanceof Uint8Array)) continue;
      parts.push(part);
      length += part.length;
    }
    if (length > most) throw new CoreError('bytes-too-long', `${path}: over ${most} bytes`);
    return Buffer.concat(parts);
  } finally {
    await handle.close();
  }
}

export async function readSigner(path: string): Promise<Signer> {
  const pem = await readPem(path);
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
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CoreError('key-invalid', `${path}: not a PEM key that can be read without a password: ${reason}`, {
      cause,
    });
  }
}
