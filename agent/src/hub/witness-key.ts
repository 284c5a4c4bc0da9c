// The keys this device cosigns checkpoints with, in files of the state folder, made before the device enrolls: Ed25519, and ML-DSA-44 where the
// settings say so. They are no identity: who has them can vouch for checkpoints in this device's name, and nothing more.
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { NoteSigner } from '@edgekeep/core/audit/note';
import { mlDsaSigner } from '@edgekeep/core/post-quantum/ml-dsa';
import { signerFromKey } from '@edgekeep/core/signer';
import { replaceFile } from '@edgekeep/host/durable-file';
import { AgentError } from '../error.ts';
import type { AgentSettings } from '../settings.ts';
import { readIfThere, type StateFolder } from '../state-folder.ts';

/** Opens the keys, or makes them. `name` is their name in notes. */
export async function openWitnessKeys(
  { postQuantumWitness }: Pick<AgentSettings, 'postQuantumWitness'>,
  folder: Pick<StateFolder, 'witnessKey' | 'postQuantumWitnessKey' | 'enrolled'>,
  name: string,
): Promise<NoteSigner> {
  const signer = signerFromKey(await openKey(folder.witnessKey, 'ed25519'));
  if (!(await usesPostQuantum(postQuantumWitness, folder))) return { name, signer };
  const key = await openKey(folder.postQuantumWitnessKey, 'ml-dsa-44');
  return { name, signer, postQuantum: mlDsaSigner(key, 'ml-dsa-44') };
}

// The hub learns the keys when the device enrolls: a device that enrolled with one key goes on with it, and one with two keys too, because the
// hub takes both cosignatures or none.
async function usesPostQuantum(
  wanted: boolean,
  { postQuantumWitnessKey, enrolled }: Pick<StateFolder, 'postQuantumWitnessKey' | 'enrolled'>,
): Promise<boolean> {
  if ((await readIfThere(postQuantumWitnessKey)) !== undefined) return true;
  return wanted && (await readIfThere(enrolled)) === undefined;
}

async function openKey(path: string, kind: 'ed25519' | 'ml-dsa-44'): Promise<KeyObject> {
  const bytes = (await readIfThere(path)) ?? (await makeKey(path, kind));
  try {
    const key = createPrivateKey(Buffer.from(bytes));
    if (key.asymmetricKeyType !== kind) throw new TypeError(`expected ${kind}, found ${key.asymmetricKeyType}`);
    return key;
  } catch (cause) {
    throw new AgentError('state-invalid', `${path}: not a private key of ${kind} in PEM`, { cause });
  }
}

async function makeKey(path: string, kind: 'ed25519' | 'ml-dsa-44'): Promise<Uint8Array> {
  const { privateKey } = kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ml-dsa-44');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  await replaceFile(path, Buffer.from(pem));
  return Buffer.from(pem);
}
