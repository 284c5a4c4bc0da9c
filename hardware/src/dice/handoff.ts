// What the boot stages of a DICE device pass on: the certificate chain of the last layer and that layer's private key. This reader uses a
// folder in memory that an earlier stage filled; a platform with another interface (a device file, a service of the secure world) needs
// another reader with the same result.
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { CoreError } from '@edgekeep/core/error';
import { parseForeignCertificate, publicKeyOf } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { signatureAlgorithmOf } from '@edgekeep/core/signer';
import { groupAndOthers, readPrivateFile, writableByOthers } from '@edgekeep/host/private-file';
import { HardwareError } from '../error.ts';

export interface DiceHandoff {
  /** DER certificates: that of `aliasKey` first, then its issuers in order. */
  readonly chain: readonly Uint8Array[];
  /** P-256, P-384, P-521 or Ed25519. */
  readonly aliasKey: KeyObject;
}

/** PEM, the alias certificate first. */
export const chainFileName = 'chain.pem';
/** PEM, PKCS #8 or SEC 1. */
export const aliasKeyFileName = 'alias-key.pem';

const CHAIN_BYTES_MAX = 128 * 1024;
const KEY_BYTES_MAX = 4096;

/** Reads and checks both files. Throws `dice-handoff-invalid`. */
export async function readHandoffFolder(folder: string): Promise<DiceHandoff> {
  const chainPath = join(folder, chainFileName);
  const keyPath = join(folder, aliasKeyFileName);
  const pem = await readOwned(chainPath, CHAIN_BYTES_MAX, writableByOthers);
  const keyPem = await readOwned(keyPath, KEY_BYTES_MAX, groupAndOthers);
  try {
    const chain = parsePem(pem.toString('latin1'), 'CERTIFICATE');
    const aliasKey = createPrivateKey(keyPem);
    const [leaf] = chain;
    if (leaf === undefined) throw invalid(chainPath, 'it has no certificate');
    signatureAlgorithmOf(aliasKey);
    if (
      !publicKeyOf(parseForeignCertificate(leaf, `the first certificate of ${chainFileName}`)).equals(
        createPublicKey(aliasKey),
      )
    ) {
      throw invalid(keyPath, `it is not the key of the first certificate in ${chainFileName}`);
    }
    return { chain, aliasKey };
  } catch (cause) {
    if (cause instanceof HardwareError) throw cause;
    // OpenSSL's message about a key file does not help an operator, and may quote from the file.
    const problem = cause instanceof CoreError ? cause.message : 'expected a private key in PEM';
    throw invalid(cause instanceof CoreError ? folder : keyPath, problem);
  } finally {
    keyPem.fill(0);
  }
}

// A user who can write here can replace the device's identity; a user who can read the key can act as this device.
async function readOwned(path: string, maxBytes: number, forbidden: number): Promise<Buffer> {
  const bytes = await readPrivateFile(path, { maxBytes, forbidden }, (problem, options) =>
    invalid(path, problem, options),
  );
  if (bytes === undefined) throw invalid(path, 'it cannot be opened: there is no such file');
  return bytes;
}

function invalid(path: string, problem: string, options?: ErrorOptions): HardwareError {
  return new HardwareError('dice-handoff-invalid', `DICE: ${path}: ${problem}`, options);
}
