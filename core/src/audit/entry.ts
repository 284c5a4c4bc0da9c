// One entry of the audit log: who did what to whom, as canonical JSON, so that one event has one leaf hash (spec/audit-log.md).
import { z } from 'zod';
import { CoreError } from '../error.ts';
import { encodeCanonicalJson, type Json, parseCanonicalJson, parseValue } from '../json.ts';
import { assertNesting } from '../nesting.ts';

/** tlog-tiles allows 65,535; entries stay small so that a bundle of 256 is quick to fetch and a receipt can hold one. */
export const auditEntryBytesMax = 8192;

const wordMax = 256;
const word = z.string().min(1).max(wordMax);

const schema = z.strictObject({
  type: z.literal('edgekeep-audit-entry/v1'),
  at: z.int().nonnegative(),
  kind: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/),
  actor: word,
  subject: word,
  data: z.record(z.string(), z.custom<Json | undefined>()),
});

/**
 * `at` is Unix milliseconds by the hub's clock; `kind` names the event (`key-released`, `device-quarantined`); `actor` did it,
 * `subject` had it done; `data` are the event's own members, whole numbers only.
 */
export interface AuditEntry {
  readonly type: 'edgekeep-audit-entry/v1';
  readonly at: number;
  readonly kind: string;
  readonly actor: string;
  readonly subject: string;
  readonly data: { readonly [key: string]: Json | undefined };
}

/** The bytes that get logged. Throws `audit-entry-invalid` for what no reader would accept. */
export function encodeAuditEntry(entry: AuditEntry): Uint8Array {
  parseValue(entry, schema, 'audit entry', 'audit-entry-invalid');
  const bytes = encodeCanonicalJson({ ...entry });
  assertLength(bytes);
  assertNesting(bytes, 'audit entry', 'audit-entry-invalid');
  return bytes;
}

/** Reads a logged entry: at most 8 KiB, canonical JSON, no unknown members. */
export function parseAuditEntry(bytes: Uint8Array): AuditEntry {
  assertLength(bytes);
  assertNesting(bytes, 'audit entry', 'audit-entry-invalid');
  return parseCanonicalJson(bytes, schema, 'audit entry', 'audit-entry-invalid');
}

function assertLength(bytes: Uint8Array): void {
  if (bytes.length > auditEntryBytesMax) {
    throw new CoreError(
      'audit-entry-invalid',
      `an audit entry of ${bytes.length} bytes, at most ${auditEntryBytesMax} are logged`,
    );
  }
}
