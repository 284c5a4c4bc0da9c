// The hub's own keys, read from its key store: plain files or one sealed file (spec/platform-secrets.md). The root key signs the issuing CA
// and is not needed afterwards: `hub init` writes it into a separate folder, to be taken offline.
import { makeFolder } from '@edgekeep/host/make-folder';
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { toHex } from '@edgekeep/core/bytes';
import { type Certificate, parseCertificate } from '@edgekeep/core/identity/certificate';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import { encodeVerifierKey, verifierKey } from '@edgekeep/core/audit/note';
import { keptKeyListName, keyIdOf, type KeyListContent, signKeyList } from '@edgekeep/core/authority/key-list';
import { encodePem } from '@edgekeep/core/identity/pem';
import { issuingAuthorityProfile, rootProfile } from '@edgekeep/core/identity/profile';
import {
  type IssuedClass,
  issuedClasses,
  type IssuingScope,
  requestedScope,
} from '@edgekeep/core/identity/issuing-scope';
import { encodeSpki, keyIdentifierOf } from '@edgekeep/core/identity/public-key';
import { encodeCertificateRequest } from '@edgekeep/core/identity/request';
import { type MlDsaSigner, mlDsaSigner } from '@edgekeep/core/post-quantum/ml-dsa';
import { type Signer, signerFromKey } from '@edgekeep/core/signer';
import { initialCertificateFiles } from './initial-certificates.ts';
import { HubError } from '../common/error.ts';
import type { KeyStore } from './key-store.ts';
import { plainKeys } from './plain-keys.ts';
import { PlatformKey, platformKeyVersion, platformKeyLength, platformKeyName } from './platform-key.ts';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { readSealedFile, writeSealedKeys } from './sealed-keys.ts';
import { needStateKey, stateKeyLength, stateKeyName } from './state-key.ts';
import type { NewUnlocker } from './unlock.ts';

const yearSeconds = 31_557_600;
const rootYears = 20;
const issuingYears = 5;
/** As long as a key list may be valid (spec/key-list.md). */
const firstListSeconds = 1_096 * 86_400;
// Certificates begin a little in the past, for devices with a slow clock.
export const clockSkewSeconds = 300;

export interface HubKeys {
  /** Ed25519: signs checkpoints. */
  readonly logSigner: Signer;
  /** P-256: signs attestation results. */
  readonly attestationSigner: Signer;
  /** AES-256: wraps model keys and device secrets. */
  readonly platformKey: PlatformKey;
  /** For the codes of entries about the store's own state (spec/audit-log.md). */
  readonly stateKey: Uint8Array;
}

/** Common names of issuing CAs; the key identifier tells two of one class apart. */
const issuingNames: Readonly<Record<IssuedClass, string>> = {
  server: 'Edgekeep servers CA',
  device: 'Edgekeep devices CA',
  workload: 'Edgekeep workloads CA',
};
/** The key of the one CA that a hub had before there were classes. */
export const firstIssuingKeyName = 'issuing-key.pem';
/** Names of the hub's other keys in its key store; those of the platform key are in secrets/platform-key.ts. */
const keyNames = {
  log: 'log-key.pem',
  logPostQuantum: 'log-ml-dsa-44-key.pem',
  attestation: 'attestation-key.pem',
} as const;

/**
 * Makes all keys; refuses a folder that contains some. `rootFolder` gets the root, whose key is to be taken offline; without it an offline
 * root must sign the request in `issuing.csr`. Without an unlocker the keys are plain files.
 */
export async function createHubKeys(
  folder: string,
  order: {
    readonly rootFolder: string | undefined;
    readonly unlockers: readonly NewUnlocker[];
    /** Of workloads. */
    readonly trustDomain: string;
    /** Of the log; left out: no key list is signed. */
    readonly logOrigin?: string;
    readonly nowSeconds: number;
  },
): Promise<void> {
  const { rootFolder, unlockers, trustDomain, logOrigin, nowSeconds } = order;
  const keys = join(folder, 'keys');
  await makeFolder(keys, { mode: 0o700 });
  const issuing = issuedClasses.map((each) => ({ key: newKey('ec'), scope: scopeFor(each, trustDomain) }));
  const [logKey, attestationKey, backupKey] = [newKey('ed25519'), newKey('ec'), newKey('ec')];
  // An offline root certifies it in its first ceremony, for which the hub makes one (authority/key-request.ts).
  const hasList = rootFolder !== undefined && logOrigin !== undefined;
  if (rootFolder === undefined) await writeRequests(keys, issuing);
  else {
    const root = await makeRoot(keys, issuing, { rootFolder, nowSeconds });
    const listed = { logKey, attestationKey, backupKey, nowSeconds };
    if (logOrigin !== undefined) await writeFirstKeyList(keys, rootFolder, root, { ...listed, logOrigin });
  }
  const entries = new Map<string, Uint8Array>([
    ...issuing.map(({ key }) => [issuingKeyName(issuingKeyId(key)), privatePem(key)] as const),
    [keyNames.log, privatePem(logKey)],
    [keyNames.attestation, privatePem(attestationKey)],
    ...(hasList ? [[hubKeyName(keyIdOf(signerFromKey(backupKey))), privatePem(backupKey)] as const] : []),
    [platformKeyName(1), randomBytes(platformKeyLength)],
    [stateKeyName, randomBytes(stateKeyLength)],
  ]);
  if (unlockers.length > 0) await writeSealedKeys(keys, entries, unlockers);
  else for (const [name, secret] of entries) await plainKeys(keys).add(name, secret);
  for (const secret of entries.values()) secret.fill(0);
}

interface NewIssuing {
  readonly key: KeyObject;
  readonly scope: IssuingScope;
}

/** What a CA of this class may issue at a hub with this trust domain. */
export function scopeFor(certificateClass: IssuedClass, trustDomain: string): IssuingScope {
  return certificateClass === 'workload' ? { certificateClass, trustDomain } : { certificateClass };
}

/** DER PKCS #10 for an issuing CA: the class and the trust domain are what it asks for. */
export async function encodeIssuingRequest(key: KeyObject, scope: IssuingScope): Promise<Uint8Array> {
  const subject = commonNameOnly(issuingNames[scope.certificateClass]);
  return encodeCertificateRequest({ subject, extensions: requestedScope(scope) }, signerFromKey(key));
}

/** The entry of an issuing CA's key in the key store: half of its id, because names there are short. */
export function issuingKeyName(id: string): string {
  return `issuing-${id.slice(0, 32)}.pem`;
}

/** The entry of a later key of the hub's own in the key store; the first ones have names of their own. */
export function hubKeyName(id: string): string {
  return `hub-${id.slice(0, 32)}.pem`;
}

/** The names of the first keys. */
export const firstHubKeyNames = { log: keyNames.log, 'attestation-result': keyNames.attestation } as const;

function issuingKeyId(key: KeyObject): string {
  return toHex(keyIdentifierOf(encodeSpki(signerFromKey(key).publicKey)));
}

async function writeRequests(keys: string, issuing: readonly NewIssuing[]): Promise<void> {
  const requests = await Promise.all(issuing.map(({ key, scope }) => encodeIssuingRequest(key, scope)));
  const pem = requests.map((der) => encodePem('CERTIFICATE REQUEST', der)).join('');
  await writeNewFile(join(keys, initialCertificateFiles.request), pem);
}

async function makeRoot(
  keys: string,
  issuing: readonly NewIssuing[],
  { rootFolder, nowSeconds }: { readonly rootFolder: string; readonly nowSeconds: number },
): Promise<{ readonly certificate: Certificate; readonly signer: Signer }> {
  await makeFolder(rootFolder, { mode: 0o700 });
  const root = newKey('ec');
  const signer = signerFromKey(root);
  const ownTemplate = rootProfile(period(root, nowSeconds, rootYears), commonNameOnly('Edgekeep root'));
  const certificate = parseCertificate(await issueCertificate(ownTemplate, signer));
  const issued = await Promise.all(
    issuing.map(({ key, scope }) => {
      const name = commonNameOnly(issuingNames[scope.certificateClass]);
      const input = period(key, nowSeconds, issuingYears);
      return issueCertificate(issuingAuthorityProfile(input, certificate, name, scope), signer);
    }),
  );
  const rootPem = encodePem('CERTIFICATE', certificate.der);
  const issuingPem = issued.map((der) => encodePem('CERTIFICATE', der)).join('');
  await writeNewFile(join(rootFolder, 'root-key.pem'), privatePem(root));
  await writeNewFile(join(rootFolder, 'root.pem'), rootPem);
  await writeNewFile(join(keys, initialCertificateFiles.root), rootPem);
  await writeNewFile(join(keys, initialCertificateFiles.issuing), issuingPem);
  return { certificate, signer };
}

interface FirstKeys {
  readonly logKey: KeyObject;
  readonly attestationKey: KeyObject;
  readonly backupKey: KeyObject;
  readonly logOrigin: string;
}

/** List number 1, while the root's key is here; the root's folder keeps it, so that the next one must follow it. */
async function writeFirstKeyList(
  keys: string,
  rootFolder: string,
  root: { readonly certificate: Certificate; readonly signer: Signer },
  listed: FirstKeys & { readonly nowSeconds: number },
): Promise<void> {
  const list = firstKeyList(listed);
  const dates = { issuedAtSeconds: listed.nowSeconds, validUntilSeconds: listed.nowSeconds + firstListSeconds };
  const signed = await signKeyList({ ...list, ...dates }, root.certificate, root.signer);
  await writeNewFile(join(rootFolder, keptKeyListName(list.hub)), signed, 0o644);
  await writeNewFile(join(keys, initialCertificateFiles.keyList), signed, 0o644);
}

/** The first keys count from the beginning. */
function firstKeyList({ logKey, attestationKey, backupKey, logOrigin: origin }: FirstKeys): KeyListContent {
  const always = { origin: undefined, fromSeconds: 0, untilSeconds: undefined, compromised: false };
  const { publicKey: log } = signerFromKey(logKey);
  return {
    hub: encodeVerifierKey(verifierKey(origin, log, 'ed25519')),
    number: 1,
    keys: [
      { purpose: 'log', publicKey: log, ...always, origin },
      { purpose: 'attestation-result', publicKey: signerFromKey(attestationKey).publicKey, ...always },
      { purpose: 'backup', publicKey: signerFromKey(backupKey).publicKey, ...always },
    ],
  };
}

/**
 * The hub's keys in `folder`, from its key store; the caller keeps the key store. `hasEntries` says whether the log has entries under a state key: it is
 * asked where there is none.
 */
export async function loadHubKeys(
  folder: string,
  store: KeyStore = plainKeys(join(folder, 'keys')),
  hasEntries: () => Promise<boolean> = async () => true,
): Promise<HubKeys> {
  const keys = join(folder, 'keys');
  if (store.protection === 'plain' && (await readSealedFile(keys)) !== undefined) {
    throw new HubError('keys-locked', `${keys} is sealed: an unlocker has to open it`);
  }
  return {
    logSigner: await needSigner(store, folder, keyNames.log),
    attestationSigner: await needSigner(store, folder, keyNames.attestation),
    platformKey: await readPlatformKey(store, folder),
    stateKey: await needStateKey(store, folder, hasEntries),
  };
}

/** The log's key of ML-DSA-44, at a hub with `logPostQuantum`; made and kept if there is none yet. */
export async function takeLogPostQuantumSigner(
  store: KeyStore,
): Promise<{ readonly signer: MlDsaSigner; readonly made: boolean }> {
  const known = await readPrivateKey(store, keyNames.logPostQuantum);
  if (known !== undefined) return { signer: mlDsaSigner(known, 'ml-dsa-44'), made: false };
  const { privateKey } = generateKeyPairSync('ml-dsa-44');
  const pem = privatePem(privateKey);
  try {
    await store.add(keyNames.logPostQuantum, pem);
  } finally {
    pem.fill(0);
  }
  return { signer: mlDsaSigner(privateKey, 'ml-dsa-44'), made: true };
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

/** PKCS #8; the caller zeroes it. */
export function privatePem(key: KeyObject): Uint8Array {
  return Buffer.from(key.export({ type: 'pkcs8', format: 'pem' }).toString());
}

async function needSigner(store: KeyStore, folder: string, name: string): Promise<Signer> {
  const signer = await readSigner(store, name);
  if (signer === undefined) throw noKey(folder, name);
  return signer;
}

/** The private key of an entry; undefined when there is none. */
export async function readSigner(store: KeyStore, name: string): Promise<Signer | undefined> {
  const key = await readPrivateKey(store, name);
  return key === undefined ? undefined : signerFromKey(key);
}

async function readPrivateKey(store: KeyStore, name: string): Promise<KeyObject | undefined> {
  const pem = await store.read(name);
  if (pem === undefined) return undefined;
  try {
    return createPrivateKey(Buffer.from(pem.buffer, pem.byteOffset, pem.byteLength));
  } finally {
    pem.fill(0);
  }
}

async function readPlatformKey(store: KeyStore, folder: string): Promise<PlatformKey> {
  const versions = new Map<number, Uint8Array>();
  for (const name of await store.names()) {
    const version = platformKeyVersion(name);
    const key = version === undefined ? undefined : await store.read(name);
    if (version === undefined || key === undefined) continue;
    if (key.length !== platformKeyLength) {
      throw new HubError('settings-invalid', `${name}: expected ${platformKeyLength} bytes, found ${key.length}`);
    }
    versions.set(version, key);
  }
  if (versions.size === 0) throw noKey(folder, platformKeyName(1));
  return new PlatformKey(versions);
}

function noKey(folder: string, name: string): HubError {
  return new HubError(
    'settings-invalid',
    `${folder} has no ${name}: is this the hub's data folder? \`edgekeep hub init\` makes one`,
  );
}
