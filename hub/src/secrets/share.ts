// A secret split among people (Shamir, spec/platform-secrets.md): any k of n shares reconstruct it, fewer reveal nothing. A share is a line
// of text that can be printed, typed and checked for typing mistakes.
import { createHash, randomBytes } from 'node:crypto';
import { concat, equalBytes, parseHex, toHex, utf8 } from '@edgekeep/core/bytes';
import { combine, split } from 'shamir-secret-sharing';
import { HubError } from '../common/error.ts';
import { SHARES_MAX } from './sealed-file.ts';

const version = 1;
const setLength = 8;
const valueLength = 32;
const checkLength = 4;
const payloadLength = 1 + setLength + 2 + 1 + valueLength;
const textPattern = /^ekshare((?:-[0-9a-f]{8}){12})$/;
/** A share's file: the share and some lines of comment. */
export const SHARE_FILE_BYTES_MAX = 4_096;

export interface Share {
  /** The split that it belongs to: 8 bytes. */
  readonly set: Uint8Array;
  readonly needed: number;
  readonly made: number;
  /** 1 to 255, the x coordinate; together with the value, the actual share. */
  readonly at: number;
  readonly value: Uint8Array;
}

/** Splits 32 secret bytes. The library's shares carry their x coordinate in the last byte. */
export async function splitSecret(secret: Uint8Array, needed: number, made: number): Promise<readonly Share[]> {
  const set = randomBytes(setLength);
  const parts = await split(new Uint8Array(secret), made, needed);
  return parts.map((part) => ({ set, needed, made, at: part[valueLength] ?? 0, value: part.subarray(0, valueLength) }));
}

/**
 * Reconstructs the secret from at least `needed` different shares of one set, using the first `needed`. A forged share gives a wrong
 * secret, which then opens nothing; the forger cannot be identified.
 */
export async function combineShares(shares: readonly Share[]): Promise<Uint8Array> {
  const [first] = shares;
  const different = [...new Map(shares.map((share) => [share.at, share])).values()];
  if (first === undefined || different.length < first.needed) {
    throw new HubError(
      'unlock-refused',
      `${different.length} different shares were given, ${first?.needed ?? 'more'} are needed`,
    );
  }
  if (shares.some((share) => !equalBytes(share.set, first.set) || share.needed !== first.needed)) {
    throw new HubError('unlock-refused', 'the shares belong to different splits');
  }
  const parts = different.slice(0, first.needed).map(({ at, value }) => new Uint8Array([...value, at]));
  try {
    return await combine(parts);
  } finally {
    for (const part of parts) part.fill(0);
  }
}

/** `ekshare-` and 48 bytes in hexadecimal, in groups of eight digits. */
export function encodeShare({ set, needed, made, at, value }: Share): string {
  const payload = concat(Uint8Array.of(version), set, Uint8Array.of(needed, made, at), value);
  const digits = toHex(concat(payload, checkOf(payload)));
  return `ekshare-${(digits.match(/.{8}/g) ?? []).join('-')}`;
}

/** Parses a share as a person types it: upper or lower case, with white space around it. Throws `unlock-refused`. */
export function parseShare(text: string): Share {
  const digits = textPattern.exec(text.trim().toLowerCase())?.[1]?.replaceAll('-', '');
  if (digits === undefined) {
    throw new HubError(
      'unlock-refused',
      'not a share: expected "ekshare" and twelve groups of eight hexadecimal digits',
    );
  }
  const bytes = parseHex(digits, 'share');
  const payload = bytes.subarray(0, payloadLength);
  if (!equalBytes(bytes.subarray(payloadLength), checkOf(payload))) {
    throw new HubError('unlock-refused', 'a share has a typing mistake: its check digits do not match');
  }
  const [needed = 0, made = 0, at = 0] = payload.subarray(1 + setLength);
  const fits = payload[0] === version && needed >= 2 && made >= needed && made <= SHARES_MAX && at !== 0;
  if (!fits) throw new HubError('unlock-refused', 'a share of an unknown version, or with impossible numbers');
  return {
    set: payload.subarray(1, 1 + setLength),
    needed,
    made,
    at,
    value: payload.subarray(payloadLength - valueLength),
  };
}

/** The share in a file of its own; lines that begin with # are for people. */
export function parseShareFile(text: string): Share {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const [line] = lines;
  if (line === undefined || lines.length > 1)
    throw new HubError('unlock-refused', 'a share file holds exactly one share');
  return parseShare(line);
}

export function encodeShareFile(share: Share, number: number): string {
  return `# Share ${number} of ${share.made} of an Edgekeep hub: any ${share.needed} of them open its keys.
# Keep it where the hub and the other shares are not. \`edgekeep hub run --share FILE\` reads it.
${encodeShare(share)}
`;
}

function checkOf(payload: Uint8Array): Uint8Array {
  return createHash('sha256').update(utf8('edgekeep share v1\0')).update(payload).digest().subarray(0, checkLength);
}
