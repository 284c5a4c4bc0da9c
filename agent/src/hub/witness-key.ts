// The keys this device cosigns checkpoints with, in files of the state folder, made before the device enrolls: Ed25519, and ML-DSA-44 where the
// settings say so. They are no identity: who has them can vouch for checkpoints in this device's name, and nothing more. A device that lost them
// makes others, which count once the hub has registered them (../state-recovery.ts).
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { NoteSigner } from '@edgekeep/core/audit/note';
import { mlDsaSigner } from '@edgekeep/core/post-quantum/ml-dsa';
import { signerFromKey } from '@edgekeep/core/signer';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { removeBoth, replaceBoth } from '@edgekeep/host/two-copies';
import { access } from 'node:fs/promises';
import { KeptState } from '../kept-state.ts';
import type { AgentSettings } from '../settings.ts';
import type { StateFolder } from '../state-folder.ts';

type Kind = 'ed25519' | 'ml-dsa-44';
type Folder = Pick<StateFolder, 'witnessKey' | 'postQuantumWitnessKey' | 'enrolled'>;

export interface WitnessKeys {
  readonly signer: NoteSigner;
  /** Writes keys that were made because the old ones are lost; returns the files. */
  readonly save: () => Promise<readonly string[]>;
}

/** Opens the keys, or makes them. `name` is their name in notes. */
export async function openWitnessKeys(
  { postQuantumWitness }: Pick<AgentSettings, 'postQuantumWitness'>,
  folder: Folder,
  name: string,
  kept: KeptState = new KeptState(),
): Promise<WitnessKeys> {
  const both = await usesPostQuantum(postQuantumWitness, folder);
  const files = new Map<string, Kind>([[folder.witnessKey, 'ed25519']]);
  if (both) files.set(folder.postQuantumWitnessKey, 'ml-dsa-44');
  const found = new Map<string, KeyObject>();
  for (const [path, kind] of files) {
    await forgetFormer(path, folder);
    const key = await kept.read('witness-key', path, { parse: (bytes) => parseKey(bytes, kind), wipes: true });
    if (key !== undefined) found.set(path, key);
  }
  // A line that lost one of its keys ends: the hub takes no key again that it had before.
  const isLost = kept.isLost('witness-key');
  const keys = new Map<string, KeyObject>();
  for (const [path, kind] of files) keys.set(path, (isLost ? undefined : found.get(path)) ?? makeKey(kind));
  const save = async () => {
    for (const [path, key] of keys) await replaceBoth(path, pemOf(key));
    return [...keys.keys()];
  };
  if (!isLost && found.size < files.size) await save();
  const [ed25519 = makeKey('ed25519'), mlDsa] = keys.values();
  const signer = signerFromKey(ed25519);
  return {
    signer: mlDsa === undefined ? { name, signer } : { name, signer, postQuantum: mlDsaSigner(mlDsa, 'ml-dsa-44') },
    save: isLost ? save : async () => [],
  };
}

// The hub learns the keys when the device enrolls: a device that enrolled with one key goes on with it, and one with two keys too, because the
// hub takes both cosignatures or none.
async function usesPostQuantum(wanted: boolean, { postQuantumWitnessKey, enrolled }: Folder): Promise<boolean> {
  if ((await isThere(postQuantumWitnessKey)) || (await isThere(`${postQuantumWitnessKey}.copy`))) return true;
  return wanted && !(await isThere(enrolled));
}

// Before a device enrolls, a key that somebody removed is one of an identity that ended, which no hub takes again: its copy goes too.
async function forgetFormer(path: string, { enrolled }: Folder): Promise<void> {
  if (!(await isThere(path)) && !(await isThere(enrolled))) await removeBoth(path);
}

function isThere(path: string): Promise<boolean> {
  return orIfMissing(
    access(path).then(() => true),
    false,
  );
}

function parseKey(bytes: Uint8Array, kind: Kind): KeyObject {
  const key = createPrivateKey(Buffer.from(bytes));
  if (key.asymmetricKeyType !== kind) throw new TypeError(`expected ${kind}, found ${key.asymmetricKeyType}`);
  return key;
}

function makeKey(kind: Kind): KeyObject {
  return kind === 'ed25519' ? generateKeyPairSync('ed25519').privateKey : generateKeyPairSync('ml-dsa-44').privateKey;
}

function pemOf(key: KeyObject): Buffer {
  return Buffer.from(key.export({ type: 'pkcs8', format: 'pem' }));
}
