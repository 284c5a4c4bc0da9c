// The key this device cosigns checkpoints with: Ed25519, in a file of the state folder, made before the device enrolls. It is no identity:
// who has it can vouch for checkpoints in this device's name, and nothing more.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import type { NoteSigner } from '@edgekeep/core/audit/note';
import { signerFromKey } from '@edgekeep/core/signer';
import { replaceFile } from '@edgekeep/host/durable-file';
import { AgentError } from '../error.ts';
import { readIfThere } from '../state-folder.ts';

/** Opens the key, or makes it. `name` is the key's name in notes. */
export async function openWitnessKey(path: string, name: string): Promise<NoteSigner> {
  const bytes = (await readIfThere(path)) ?? (await makeKey(path));
  try {
    const signer = signerFromKey(createPrivateKey(Buffer.from(bytes)));
    if (signer.algorithm !== 'ed25519') throw new TypeError(`expected an Ed25519 key, found ${signer.algorithm}`);
    return { name, signer };
  } catch (cause) {
    throw new AgentError('state-invalid', `${path}: not an Ed25519 private key in PEM`, { cause });
  }
}

async function makeKey(path: string): Promise<Uint8Array> {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  await replaceFile(path, Buffer.from(pem));
  return Buffer.from(pem);
}
