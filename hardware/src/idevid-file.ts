// An IDevID in the device's state folder, for hardware without room for it: PEM, the IDevID first, then its issuers. Nothing in it is
// secret, and without the key in the hardware it is useless.
import type { KeyObject } from 'node:crypto';
import { parseForeignCertificate, publicKeyOf } from '@edgekeep/core/identity/certificate';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { readEither, replaceBoth } from '@edgekeep/host/two-copies';
import { HardwareError, type HardwareErrorCode } from './error.ts';

/** A chain of four certificates stays below it. */
const FILE_BYTES_MAX = 64 * 1024;
const ISSUERS_MAX = 3;

export async function writeIdevidFile(path: string, chain: readonly Uint8Array[]): Promise<void> {
  await replaceBoth(path, Buffer.from(chain.map((der) => encodePem('CERTIFICATE', der)).join('')));
}

/** Empty when there is no such file. Throws `software-state-invalid` for one that is not a chain of certificates. */
export async function readIdevidFile(path: string | undefined): Promise<readonly Uint8Array[]> {
  if (path === undefined) return [];
  const found = await readEither(path, { parse: (bytes) => chainIn(path, bytes) });
  if (found.kind === 'none') return [];
  if (found.kind === 'found') return found.value;
  const { cause } = found;
  if (cause instanceof HardwareError) throw cause;
  throw new HardwareError('software-state-invalid', `${path}: expected an IDevID and its issuers in PEM`, { cause });
}

function chainIn(path: string, bytes: Uint8Array): readonly Uint8Array[] {
  if (bytes.length > FILE_BYTES_MAX)
    throw new HardwareError('software-state-invalid', `${path}: ${bytes.length} bytes, not an IDevID`);
  const chain = parsePem(Buffer.from(bytes).toString('utf8'), 'CERTIFICATE');
  if (chain.length > 0 && chain.length <= 1 + ISSUERS_MAX) return chain;
  throw new HardwareError('software-state-invalid', `${path}: expected an IDevID and its issuers in PEM`);
}

/** Throws `code` unless the first certificate is for this key: a chain of another device proves nothing here, and must not go unnoticed. */
export function assertIdevidFor(chain: readonly Uint8Array[], key: KeyObject, code: HardwareErrorCode): void {
  const [der] = chain;
  if (der === undefined || publicKeyOf(parseForeignCertificate(der)).equals(key)) return;
  throw new HardwareError(
    code,
    'the IDevID stored for this device does not match the key in its hardware: it belongs to another device, or the hardware was changed; remove it, or manufacture this device again',
  );
}
