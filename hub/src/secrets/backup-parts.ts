// The form of a backup file, spec/platform-secrets.md: a line of JSON before each part, one at the start and one at the end.
import { utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { encodeCanonicalJson, type Json, parseCanonicalJson } from '@edgekeep/core/json';
import { z } from 'zod';
import { HubError } from '../common/error.ts';

/** A part's line: a path, a digest, a number. */
export const LINE_BYTES_MAX = 2_048;
/** `v2` ends in a signature; `v1` has none, from the version before or on demand. */
export const backupTypes = { signed: 'edgekeep-backup/v2', unsigned: 'edgekeep-backup/v1' } as const;

const segment = /^(?!\.)[A-Za-z0-9._-]{1,128}$/;
const places =
  /^(?:(?:hub|operator)\.json|hub\.sqlite|(?:keys|vendor-roots|dice-roots|idevid-roots)\/[^/]+|(?:log|blobs|evidence)\/.+)$/;

/** Whether a backup may contain this path: relative, below the data folder, in one of the known places. */
export function isBackupPath(path: string): boolean {
  return path.length <= 1_000 && places.test(path) && path.split('/').every((part) => segment.test(part));
}

const firstLine = z.strictObject({ type: z.enum([backupTypes.signed, backupTypes.unsigned]) });
const partLine = z.strictObject({
  path: z.string().refine(isBackupPath, { error: 'no path of a backup' }),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits in lower case'),
  size: z.int().min(0),
});
const lastLine = z.strictObject({ end: z.int().min(1) });

export type BackupPart = z.infer<typeof partLine>;

export function encodeLine(value: Json): Uint8Array {
  return utf8(`${Buffer.from(encodeCanonicalJson(value)).toString()}\n`);
}

/** The line that begins a backup: whether a signature ends it. Throws `backup-refused`, like all readers here. */
export function parseFirstLine(line: Uint8Array): { readonly signed: boolean } {
  return { signed: parseLine(line, firstLine).type === backupTypes.signed };
}

/** The line before a part, or the number of parts in the last line. */
export function parsePartLine(line: Uint8Array): BackupPart | number {
  const value = parseLine(line, z.union([partLine, lastLine]));
  return 'end' in value ? value.end : value;
}

function parseLine<T>(line: Uint8Array, schema: z.ZodType<T>): T {
  try {
    return parseCanonicalJson(line, schema, 'backup');
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new HubError('backup-refused', `not a backup, or a damaged one: ${cause.message}`, { cause });
  }
}
