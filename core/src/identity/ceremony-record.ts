// The record of a root's ceremonies (spec/authorities.md, "The ceremony's record"): one signed line for each use of the root's key, each
// naming the one before it.
import { sha256Hex } from '../digest.ts';
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeCanonicalJson, parseCanonicalJson } from '../json.ts';
import { signJws, verifyJws } from '../jws.ts';
import type { Signer } from '../signer.ts';

/** A root that is used once a week for twenty years. */
const RECORD_BYTES_MAX = 4 * 1024 * 1024;
const LINE_BYTES_MAX = 8_192;
const recordType = 'edgekeep-root-ceremony/v1';
const jwsType = 'edgekeep-root-ceremony+jwt';
const firstPrevious = '0'.repeat(64);

const ceremonyKinds = [
  'root-made',
  'issuing-signed',
  'rollover-old-signed',
  'rollover-new-signed',
  'list-signed',
  'key-list-signed',
] as const;
export type CeremonyKind = (typeof ceremonyKinds)[number];

const entrySchema = z.strictObject({
  type: z.literal(recordType),
  index: z.int().min(0),
  /** SHA-256 of the line before, hex. */
  previous: z.string().regex(/^[0-9a-f]{64}$/),
  /** Unix milliseconds by the clock of the ceremony's machine. */
  at: z.int().min(0),
  kind: z.enum(ceremonyKinds),
  data: z.record(z.string().max(64), z.string().max(2_000)),
});
export type CeremonyEntry = z.infer<typeof entrySchema>;

/** The record with one more line; the existing lines are verified first. */
export async function appendToRecord(
  record: string,
  entry: Pick<CeremonyEntry, 'at' | 'kind' | 'data'>,
  signer: Signer,
): Promise<string> {
  const index = parseRecord(record, signer.publicKey).length;
  const previous = index === 0 ? firstPrevious : digestOf(linesOf(record).at(-1) ?? '');
  const payload = encodeCanonicalJson({ type: recordType, index, previous, ...entry });
  const line = await signJws(payload, signer, { kid: 'root', typ: jwsType });
  if (line.length > LINE_BYTES_MAX) throw invalid(index, `over ${LINE_BYTES_MAX} bytes`);
  return `${record}${line}\n`;
}

/** All entries, verified under the root's key. Throws `token-invalid` for a line that is missing, changed, reordered or of another key. */
export function parseRecord(record: string, rootKey: KeyObject): readonly CeremonyEntry[] {
  if (record.length > RECORD_BYTES_MAX)
    throw new CoreError('bytes-too-long', `a record over ${RECORD_BYTES_MAX} bytes`);
  if (record === '') return [];
  if (!record.endsWith('\n')) throw invalid(linesOf(record).length - 1, 'cut short');
  let previous = firstPrevious;
  return linesOf(record).map((line, at) => {
    const verdict = verifyJws(line, rootKey, { typ: jwsType, maxBytes: LINE_BYTES_MAX });
    if (verdict.kind === 'refused') throw invalid(at, verdict.reasons.join('; '));
    const entry = parseCanonicalJson(verdict.payload, entrySchema, 'ceremony record', 'token-invalid');
    if (entry.index !== at || entry.previous !== previous) throw invalid(at, 'it does not follow the line before');
    previous = digestOf(line);
    return entry;
  });
}

function linesOf(record: string): readonly string[] {
  return record.split('\n').slice(0, -1);
}

function digestOf(line: string): string {
  return sha256Hex(utf8(line));
}

function invalid(at: number, problem: string): CoreError {
  return new CoreError('token-invalid', `ceremony record, line ${at + 1}: ${problem}`);
}
