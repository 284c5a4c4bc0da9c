// A passphrase as an unlocker: scrypt (RFC 7914) makes each guess cost 128 MiB and some tenths of a second.
import { scrypt } from 'node:crypto';
import { utf8 } from '@edgekeep/core/bytes';
import { HubError } from '../common/error.ts';

export interface ScryptCost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** For new unlockers; sealed-file.ts has the limits for readers and writers. */
export const newCost = { N: 131_072, r: 8, p: 1 } as const;
/** Guessing is slow, not impossible: new unlockers must not have a shorter passphrase. */
const PASSPHRASE_MIN = 12;
/** Longer input is a file given by mistake. */
const PASSPHRASE_MAX = 1_024;

/** One form for text that looks the same but is typed differently on other keyboards (Unicode NFKC). */
export function parsePassphrase(text: string): string {
  const passphrase = text.normalize('NFKC');
  if (passphrase === '' || passphrase.length > PASSPHRASE_MAX) {
    throw new HubError('unlock-refused', `a passphrase has 1 to ${PASSPHRASE_MAX} characters`);
  }
  return passphrase;
}

/** As `parsePassphrase`, for a new passphrase that will protect a hub. */
export function parseNewPassphrase(text: string): string {
  const passphrase = parsePassphrase(text);
  if (passphrase.length < PASSPHRASE_MIN) {
    throw new HubError('unlock-refused', `a new passphrase has at least ${PASSPHRASE_MIN} characters: take five words`);
  }
  return passphrase;
}

/** 32 bytes, which the caller zeroes. */
export async function stretchPassphrase(passphrase: string, salt: Uint8Array, cost: ScryptCost): Promise<Uint8Array> {
  const { N, r, p } = cost;
  const bytes = utf8(passphrase);
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      // OpenSSL counts a little more than the 128 * N * r bytes.
      const maxmem = 128 * N * r + 1_048_576;
      scrypt(bytes, salt, 32, { N, r, p, maxmem }, (error, key) => (error === null ? resolve(key) : reject(error)));
    });
  } finally {
    bytes.fill(0);
  }
}
