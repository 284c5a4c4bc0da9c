// Keys, certificates and signatures as files.
import { messageOf } from '@edgekeep/core/message-of';
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { CoreError } from '@edgekeep/core/error';
import { type Certificate, parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { canonicalKey } from '@edgekeep/core/identity/public-key';
import { type PublisherKey, readPublisherKeyPem } from '@edgekeep/core/model/signature/publisher-key';
import { mlDsaSigner } from '@edgekeep/core/post-quantum/ml-dsa';
import { type Signer, signerFromKey } from '@edgekeep/core/signer';
import { readBounded, readSecretFile } from '../bounded-file.ts';

/** A PEM key is under 1 KiB; a bundle of authorities under this. */
const PEM_LENGTH_MAX = 1024 * 1024;

/** A PEM private key; with a second block, one of ML-DSA-65, it signs models by both. */
export async function readSigner(path: string): Promise<Signer> {
  const pem = Buffer.from(await readSecretFile(path, PEM_LENGTH_MAX)).toString('utf8');
  const signer = signerFromKey(parseKey(path, () => createPrivateKey(pem)));
  const second = secondBlock(pem);
  if (second === undefined) return signer;
  const key = parseKey(path, () => createPrivateKey(second));
  return { ...signer, postQuantum: mlDsaSigner(key, 'ml-dsa-65') };
}

/** The first PEM private key of a file. */
export async function readPrivateKey(path: string): Promise<KeyObject> {
  const pem = Buffer.from(await readSecretFile(path, PEM_LENGTH_MAX)).toString('utf8');
  return parseKey(path, () => createPrivateKey(pem));
}

// Node reads the first block of a text.
function secondBlock(pem: string): string | undefined {
  const mark = '-----BEGIN PRIVATE KEY-----';
  const at = pem.indexOf(mark, pem.indexOf(mark) + 1);
  return at === -1 ? undefined : pem.slice(at);
}

/** A publisher's PEM public key, alone or with one of ML-DSA-65 after it. */
export async function readPublisherKey(path: string): Promise<PublisherKey> {
  const pem = await readPem(path);
  return parseKey(path, () => readPublisherKeyPem(pem));
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

function parseKey<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    const reason = messageOf(cause);
    throw new CoreError('key-invalid', `${path}: not a PEM key that can be read without a password: ${reason}`, {
      cause,
    });
  }
}
