// The hub's own keys, one file each, readable by its user only. The root key signs the issuing CA and is then not needed: `hub init`
// writes it into a folder of its own, to be carried away.
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Certificate, parseCertificate } from '@edgekeep/core/identity/certificate';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { issuingAuthorityProfile, rootProfile } from '@edgekeep/core/identity/profile';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { type Signer, signerFromKey } from '@edgekeep/core/signer';
import { HubError } from './error.ts';

const yearSeconds = 31_557_600;
const rootYears = 20;
const issuingYears = 5;
// Certificates begin a little in the past, for devices whose clock is slow.
export const clockSkewSeconds = 300;
const platformKeyLength = 32;

export interface HubKeys {
  readonly root: Certificate;
  readonly issuing: Certificate;
  readonly issuingSigner: Signer;
  /** Ed25519: signs checkpoints. */
  readonly logSigner: Signer;
  /** P-256: signs attestation results. */
  readonly attestationSigner: Signer;
  /** AES-256: wraps model keys. */
  readonly platformKey: Uint8Array;
}

/** Makes all keys; refuses to touch a folder that has some. `rootFolder` gets the root key and is to be taken offline. */
export async function createHubKeys(folder: string, rootFolder: string, nowSeconds: number): Promise<void> {
  await mkdir(join(folder, 'keys'), { recursive: true, mode: 0o700 });
  await mkdir(rootFolder, { recursive: true, mode: 0o700 });
  const root = newKey('ec');
  const issuing = newKey('ec');
  const rootCertificate = parseCertificate(
    await issueCertificate(
      rootProfile(period(root, nowSeconds, rootYears), commonNameOnly('Edgekeep root')),
      signerFromKey(root),
    ),
  );
  const issuingDer = await issueCertificate(
    issuingAuthorityProfile(
      period(issuing, nowSeconds, issuingYears),
      rootCertificate,
      commonNameOnly('Edgekeep issuing CA'),
    ),
    signerFromKey(root),
  );
  const keys = join(folder, 'keys');
  await writeNew(join(rootFolder, 'root-key.pem'), privatePem(root));
  await writeNew(join(keys, 'root.pem'), encodePem('CERTIFICATE', rootCertificate.der));
  await writeNew(join(keys, 'issuing.pem'), encodePem('CERTIFICATE', issuingDer));
  await writeNew(join(keys, 'issuing-key.pem'), privatePem(issuing));
  await writeNew(join(keys, 'log-key.pem'), privatePem(newKey('ed25519')));
  await writeNew(join(keys, 'attestation-key.pem'), privatePem(newKey('ec')));
  await writeNew(join(keys, 'platform.key'), randomBytes(platformKeyLength));
}

export async function loadHubKeys(folder: string): Promise<HubKeys> {
  const keys = join(folder, 'keys');
  const platformKey = await readKeyFile(join(keys, 'platform.key'));
  if (platformKey.length !== platformKeyLength) {
    throw new HubError(
      'settings-invalid',
      `${join(keys, 'platform.key')}: expected ${platformKeyLength} bytes, found ${platformKey.length}`,
    );
  }
  return {
    root: await readCertificate(join(keys, 'root.pem')),
    issuing: await readCertificate(join(keys, 'issuing.pem')),
    issuingSigner: await readSigner(join(keys, 'issuing-key.pem')),
    logSigner: await readSigner(join(keys, 'log-key.pem')),
    attestationSigner: await readSigner(join(keys, 'attestation-key.pem')),
    platformKey,
  };
}

function newKey(kind: 'ec' | 'ed25519'): KeyObject {
  return kind === 'ec'
    ? generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey
    : generateKeyPairSync('ed25519').privateKey;
}

function period(key: KeyObject, nowSeconds: number, years: number) {
  return {
    spki: encodeSpki(signerFromKey(key).publicKey),
    serialRandom: randomBytes(16),
    notBeforeSeconds: nowSeconds - clockSkewSeconds,
    notAfterSeconds: nowSeconds + years * yearSeconds,
  };
}

function privatePem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

// 'wx': a key that exists is never overwritten, whatever the caller believes.
async function writeNew(path: string, content: string | Uint8Array): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readKeyFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new HubError(
      'settings-invalid',
      `${path} can't be read: is this the hub's data folder? \`edgekeep hub init\` makes one`,
      { cause },
    );
  }
}

async function readSigner(path: string): Promise<Signer> {
  return signerFromKey(createPrivateKey(Buffer.from(await readKeyFile(path))));
}

async function readCertificate(path: string): Promise<Certificate> {
  const [der] = parsePem(Buffer.from(await readKeyFile(path)).toString('utf8'), 'CERTIFICATE');
  if (der === undefined) throw new HubError('settings-invalid', `${path} holds no certificate`);
  return parseCertificate(der);
}
