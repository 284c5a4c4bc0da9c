// The keys of a device without hardware for them: two P-256 keys in files that only their owner may read. A copy of the files is the
// device; that is why this is the lowest tier.
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { assertP256 } from '@edgekeep/core/identity/p256-point';
import { replaceFile } from '@edgekeep/host/durable-file';
import { groupAndOthers, readPrivateFile } from '@edgekeep/host/private-file';
import { HardwareError } from '../error.ts';

export interface SoftwareKeys {
  readonly signing: KeyObject;
  readonly encryption: KeyObject;
}

/** A PEM P-256 private key has about 240 bytes. */
const KEY_FILE_BYTES_MAX = 4096;

/**
 * The device's keys; makes them on first use. Throws `software-state-invalid` for a file that others can read or that contains another kind
 * of key.
 */
export async function loadSoftwareKeys(stateFolder: string): Promise<SoftwareKeys> {
  return {
    signing: await loadKey(join(stateFolder, 'signing-key.pem')),
    encryption: await loadKey(join(stateFolder, 'encryption-key.pem')),
  };
}

async function loadKey(path: string): Promise<KeyObject> {
  const pem = await readPrivate(path);
  if (pem === undefined) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await replaceFile(path, Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })));
    return privateKey;
  }
  try {
    const key = createPrivateKey(pem);
    assertP256(key);
    return key;
  } catch (cause) {
    throw new HardwareError('software-state-invalid', `${path}: expected a P-256 private key in PEM`, { cause });
  } finally {
    pem.fill(0);
  }
}

function readPrivate(path: string): Promise<Buffer | undefined> {
  return readPrivateFile(
    path,
    { maxBytes: KEY_FILE_BYTES_MAX, forbidden: groupAndOthers },
    (problem, options) => new HardwareError('software-state-invalid', `${path}: ${problem}`, options),
  );
}
