// The keys of a device without hardware for them: two P-256 keys in files that only their owner may read. A copy of the files is the
// device; that is why this is the lowest tier.
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { assertP256 } from '@edgekeep/core/identity/p256-point';
import { groupAndOthers, readPrivateFile } from '@edgekeep/host/private-file';
import { readEither, replaceBoth } from '@edgekeep/host/two-copies';
import { HardwareError } from '../error.ts';

export interface SoftwareKeys {
  readonly signing: KeyObject;
  readonly encryption: KeyObject;
}

/** A PEM P-256 private key has about 240 bytes. */
const KEY_FILE_BYTES_MAX = 4096;

/**
 * The device's keys; makes them on first use. Throws `software-state-invalid` for a file that others can read, and where no copy of a key is
 * left: this device is nobody then.
 */
export async function loadSoftwareKeys(stateFolder: string): Promise<SoftwareKeys> {
  return {
    signing: await loadKey(join(stateFolder, 'signing-key.pem')),
    encryption: await loadKey(join(stateFolder, 'encryption-key.pem')),
  };
}

async function loadKey(path: string): Promise<KeyObject> {
  const found = await readEither(path, { parse: parseKey, read: readPrivate, wipes: true });
  if (found.kind === 'found') return found.value;
  if (found.kind === 'damaged') {
    const { cause } = found;
    const message = `${path}: expected a P-256 private key in PEM, and its second copy is no better: restore it, or have an operator wipe the device and enroll it again with an empty state folder`;
    throw new HardwareError('software-state-invalid', message, { cause });
  }
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await replaceBoth(path, Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })));
  return privateKey;
}

function parseKey(pem: Uint8Array): KeyObject {
  const key = createPrivateKey(Buffer.from(pem));
  assertP256(key);
  return key;
}

function readPrivate(path: string): Promise<Buffer | undefined> {
  return readPrivateFile(
    path,
    { maxBytes: KEY_FILE_BYTES_MAX, forbidden: groupAndOthers },
    (problem, options) => new HardwareError('software-state-invalid', `${path}: ${problem}`, options),
  );
}
