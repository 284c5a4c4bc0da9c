// The hand-over of a log to the next (spec/audit-log.md, "Hand-over"): the former log's last entry names its successor; the next log goes on with the
// same tree, and its first own entry has the former log's last checkpoint. Two signatures, so neither can be exchanged alone.
import { z } from 'zod';
import { parseBase64url, parseUtf8, toBase64, toBase64url, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeCanonicalJson, parseCanonicalJson, parseValue } from '../json.ts';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { type AuditEntry, type AuditEvent, AUDIT_ENTRY_BYTES_MAX, parseAuditEntry } from './entry.ts';
import { leafHash, PROOF_HASHES_MAX, verifyConsistency, verifyInclusion } from './merkle.ts';
import { encodeVerifierKey, NOTE_BYTES_MAX, type VerifierKey } from './note.ts';
import { parseProofHash } from './proof.ts';

const logEndedKind = 'log-ended';
const logBegunKind = 'log-begun';

const endSchema = z.strictObject({ successor: z.string().max(4_096) });
const beginSchema = z.strictObject({
  previous: z.string().max(4_096),
  checkpoint: z.string().max(AUDIT_ENTRY_BYTES_MAX),
});

/** The last entry of a log. */
export function logEnded(
  log: VerifierKey,
  successor: VerifierKey,
  by: { readonly actor: string; readonly at: number },
): AuditEvent {
  return { ...by, kind: logEndedKind, subject: `log:${log.name}`, data: { successor: encodeVerifierKey(successor) } };
}

/** The entry behind it, the first that only the next log has; `checkpoint` is the former log's last one. */
export function logBegun(
  log: VerifierKey,
  previous: VerifierKey,
  checkpoint: Uint8Array,
  by: { readonly actor: string; readonly at: number },
): AuditEvent {
  const data = { previous: encodeVerifierKey(previous), checkpoint: parseUtf8(checkpoint, 'checkpoint') };
  return { ...by, kind: logBegunKind, subject: `log:${log.name}`, data };
}

/** How a log ended, with the proof: its last checkpoint, its last entry, and the path from the entry to the checkpoint's root. */
export interface LogEnd {
  readonly checkpoint: Uint8Array;
  readonly entry: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** The first entry that only the next log has, with the path to a checkpoint of it, and the proof that this tree extends the former log's. */
export interface LogBeginning {
  readonly checkpoint: Uint8Array;
  readonly entry: Uint8Array;
  readonly proof: readonly Uint8Array[];
  /** From the former log's last checkpoint to this one. */
  readonly consistency: readonly Uint8Array[];
}

/** What an entry says about a hand-over: the last one of a log, or the first own one of the next. */
export type HandOverEntry =
  | { readonly kind: 'ended'; readonly successor: string }
  | { readonly kind: 'begun'; readonly previous: string; readonly checkpoint: Uint8Array };

/**
 * Reads an entry of any log; undefined for one that is about no hand-over, or no entry of ours at all. Throws `audit-entry-invalid` for one of these
 * kinds with other data.
 */
export function handOverEntryOf(bytes: Uint8Array): HandOverEntry | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (![logEndedKind, logBegunKind].some((kind) => text.includes(`"kind":"${kind}"`))) return undefined;
  const entry = ownEntry(bytes);
  if (entry?.kind === logEndedKind)
    return { kind: 'ended', ...parseValue(entry.data, endSchema, 'end of a log', 'audit-entry-invalid') };
  if (entry?.kind !== logBegunKind) return undefined;
  const { previous, checkpoint } = parseValue(entry.data, beginSchema, 'beginning of a log', 'audit-entry-invalid');
  return { kind: 'begun', previous, checkpoint: utf8(checkpoint) };
}

// A log of somebody else has entries of any form.
function ownEntry(bytes: Uint8Array): AuditEntry | undefined {
  try {
    return parseAuditEntry(bytes);
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

export type LogEndVerdict =
  | { readonly kind: 'ended'; readonly checkpoint: Checkpoint; readonly successor: string }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** Whether the log of this key ended with this entry. Malformed bytes throw. */
export function verifyLogEnd(end: LogEnd, logKey: VerifierKey): LogEndVerdict {
  const opened = openCheckpoint(end.checkpoint, logKey);
  if (opened.kind === 'refused') return { kind: 'refused', reasons: opened.reasons };
  const { checkpoint } = opened;
  const { kind, data } = parseAuditEntry(end.entry);
  if (kind !== logEndedKind) return refused(`the last entry is of kind ${kind}, not ${logEndedKind}`);
  const claim = {
    leafHash: leafHash(end.entry),
    index: checkpoint.size - 1,
    size: checkpoint.size,
    root: checkpoint.root,
  };
  if (checkpoint.size === 0 || !verifyInclusion({ ...claim, proof: end.proof }))
    return refused('the entry that ends the log is not its last one');
  const { successor } = parseValue(data, endSchema, 'end of a log', 'audit-entry-invalid');
  return { kind: 'ended', checkpoint, successor };
}

export type HandOverVerdict =
  | { readonly kind: 'handed-over'; readonly checkpoint: Checkpoint }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** Whether one log handed over to the other, by the words of both. */
export function verifyHandOver(
  end: LogEnd,
  beginning: LogBeginning,
  { former, next }: { readonly former: VerifierKey; readonly next: VerifierKey },
): HandOverVerdict {
  const ended = verifyLogEnd(end, former);
  if (ended.kind === 'refused') return refusedAs('the former log', ended.reasons);
  if (ended.successor !== encodeVerifierKey(next))
    return refused(`the former log names another successor: ${ended.successor}`);
  const opened = openCheckpoint(beginning.checkpoint, next);
  if (opened.kind === 'refused') return refusedAs('the next log', opened.reasons);
  const { checkpoint } = opened;
  const { kind, data } = parseAuditEntry(beginning.entry);
  if (kind !== logBegunKind) return refused(`the next log's first entry is of kind ${kind}, not ${logBegunKind}`);
  const { size: index, root: fromRoot } = ended.checkpoint;
  const { size, root } = checkpoint;
  const included = { leafHash: leafHash(beginning.entry), index, size, root, proof: beginning.proof };
  if (size <= index || !verifyInclusion(included))
    return refused('the entry that begins the next log is not the one behind the end of the former log');
  const extended = { from: index, fromRoot, to: size, toRoot: root, proof: beginning.consistency };
  if (!verifyConsistency(extended)) return refused('the next log does not contain the former one');
  const begun = parseValue(data, beginSchema, 'beginning of a log', 'audit-entry-invalid');
  if (begun.previous !== encodeVerifierKey(former)) return refused(`the next log names another former log`);
  if (begun.checkpoint !== parseUtf8(end.checkpoint, 'checkpoint'))
    return refused("the next log begins with another checkpoint than the former log's last one");
  return { kind: 'handed-over', checkpoint };
}

const hash = z.string().length(44);
const partSchema = z.strictObject({
  checkpoint: z.string().max(NOTE_BYTES_MAX),
  /** base64url. */
  entry: z.string().max(2 * AUDIT_ENTRY_BYTES_MAX),
  proof: z.array(hash).max(PROOF_HASHES_MAX),
});
const endFileSchema = z.strictObject({ type: z.literal('edgekeep-log-end/v1'), ...partSchema.shape });

/** The end of a log as a reader keeps it: with it anybody can show later that the log went on. */
export function encodeLogEnd(end: LogEnd): Uint8Array {
  return encodeCanonicalJson({ type: 'edgekeep-log-end/v1', ...logPartJson(end) });
}

export function parseLogEnd(bytes: Uint8Array): LogEnd {
  const { checkpoint, entry, proof } = parseCanonicalJson(bytes, endFileSchema, 'end of a log', 'proof-invalid');
  return logPartOf({ checkpoint, entry, proof });
}

/** As messages and files have it. */
export function logPartJson({ checkpoint, entry, proof }: LogEnd): z.infer<typeof partSchema> {
  return { checkpoint: parseUtf8(checkpoint, 'checkpoint'), entry: toBase64url(entry), proof: proof.map(toBase64) };
}

export function logPartOf({ checkpoint, entry, proof }: z.infer<typeof partSchema>): LogEnd {
  if (proof.length > PROOF_HASHES_MAX) throw new CoreError('proof-invalid', 'too many proof hashes');
  return { checkpoint: utf8(checkpoint), entry: parseBase64url(entry, 'entry'), proof: proof.map(parseProofHash) };
}

function refused(reason: string): { readonly kind: 'refused'; readonly reasons: readonly string[] } {
  return { kind: 'refused', reasons: [reason] };
}

function refusedAs(what: string, reasons: readonly string[]) {
  return { kind: 'refused', reasons: reasons.map((reason) => `${what}: ${reason}`) } as const;
}
