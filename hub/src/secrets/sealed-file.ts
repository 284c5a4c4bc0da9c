// `keys/sealed.json`, spec/platform-secrets.md: the hub's keys under one key-encryption key (KEK), and that key wrapped once under each
// unlocker. The file is data from outside: an attacker who can write the disk chooses every byte, so all sizes and costs are limited before
// anything is computed.
import { parseBase64url } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { parseJson } from '@edgekeep/core/json';
import { z } from 'zod';
import { HubError } from '../common/error.ts';
import { keyNamePattern } from './key-store.ts';

/** Keys of 32 bytes and PKCS#8 texts; thirty-two of them and eight unlockers stay far below this. */
export const SEALED_FILE_BYTES_MAX = 256 * 1024;
const ENTRIES_MAX = 64;
const UNLOCKERS_MAX = 8;
const SECRET_BYTES_MAX = 4_096;
/** Nonce and tag of AES-GCM beside the ciphertext. */
const gcmOverhead = 28;
const kekLength = 32;
/** People who share one secret: as many as can be called together. */
export const SHARES_MAX = 16;

const bytesOfLength = (minBytes: number, maxBytes = minBytes) =>
  z.string().refine((text) => text.length <= Math.ceil((maxBytes * 4) / 3) && isBytes(text, minBytes, maxBytes), {
    error: `expected ${minBytes === maxBytes ? minBytes : `${minBytes} to ${maxBytes}`} bytes as base64url`,
  });

function isBytes(text: string, minBytes: number, maxBytes: number): boolean {
  try {
    const { length } = parseBase64url(text, 'bytes');
    return length >= minBytes && length <= maxBytes;
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return false;
  }
}

const id = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/);
/** The KEK under AES-256-GCM: nonce, ciphertext, tag. */
const wrapped = bytesOfLength(kekLength + gcmOverhead);

const unlockerSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('passphrase'),
    id,
    salt: bytesOfLength(16),
    // RFC 7914. One derivation takes 128 * N * r bytes: 128 or 256 MiB. A file can ask for neither more nor less.
    scrypt: z.strictObject({
      N: z.union([z.literal(131_072), z.literal(262_144)]),
      r: z.literal(8),
      p: z.literal(1),
    }),
    wrapped,
  }),
  z.strictObject({
    kind: z.literal('shares'),
    id,
    /** Distinguishes the shares of this unlocker from those of another. */
    set: bytesOfLength(8),
    needed: z.int().min(2).max(SHARES_MAX),
    made: z.int().min(2).max(SHARES_MAX),
    wrapped,
  }),
  z.strictObject({ kind: z.literal('program'), id, wrapped }),
]);

const sealedFileSchema = z
  .strictObject({
    type: z.literal('edgekeep-sealed-keys/v1'),
    unlockers: z.array(unlockerSchema).min(1).max(UNLOCKERS_MAX),
    entries: z
      .array(
        z.strictObject({
          name: z.string().regex(keyNamePattern),
          sealed: bytesOfLength(gcmOverhead + 1, gcmOverhead + SECRET_BYTES_MAX),
        }),
      )
      .min(1)
      .max(ENTRIES_MAX),
  })
  .refine((file) => isUnique(file.unlockers.map((each) => each.id)), { error: 'two unlockers have the same id' })
  .refine((file) => isUnique(file.entries.map((each) => each.name)), { error: 'two entries have the same name' });

export type Unlocker = z.infer<typeof unlockerSchema>;
export type SealedFile = z.infer<typeof sealedFileSchema>;

const isUnique = (names: readonly string[]) => new Set(names).size === names.length;

/** Throws `sealed-keys-invalid`, naming its origin `where`, for everything that is not such a file. */
export function parseSealedFile(bytes: Uint8Array, where: string): SealedFile {
  if (bytes.length > SEALED_FILE_BYTES_MAX) {
    throw new HubError(
      'sealed-keys-invalid',
      `${where} has ${bytes.length} bytes, at most ${SEALED_FILE_BYTES_MAX} are read`,
    );
  }
  try {
    return parseJson(bytes, sealedFileSchema, where);
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new HubError('sealed-keys-invalid', cause.message, { cause });
  }
}

/** Readable for people: it contains no unencrypted secret. Throws `sealed-keys-invalid` for a file that no reader would accept. */
export function encodeSealedFile(file: SealedFile): Uint8Array {
  const bytes = Buffer.from(`${JSON.stringify(file, null, 2)}\n`);
  parseSealedFile(bytes, 'the sealed keys');
  return bytes;
}
