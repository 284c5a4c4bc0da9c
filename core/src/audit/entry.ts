// One entry of the audit log: actor, event and subject, as canonical JSON, so that one event has one leaf hash (spec/audit-log.md).
import { z } from 'zod';
import { toBase64url } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeCanonicalJson, type Json, parseCanonicalJson, parseValue } from '../json.ts';
import { assertNesting } from '../nesting.ts';

/** tlog-tiles allows 65,535; entries stay small so that a bundle of 256 is quick to fetch and a receipt can hold one. */
export const AUDIT_ENTRY_BYTES_MAX = 8192;

const WORD_MAX = 256;
const word = z.string().min(1).max(WORD_MAX);

/** Of an entry: nobody can guess the entry from its public leaf hash. */
export const auditSaltLength = 16;

const salted = 'edgekeep-audit-entry/v2';
const unsalted = 'edgekeep-audit-entry/v1';

const members = {
  at: z.int().nonnegative(),
  kind: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/),
  actor: word,
  subject: word,
  data: z.record(z.string(), z.custom<Json | undefined>()),
};

// 16 bytes have one spelling in 22 digits of base64url: the last one carries two bits.
const salt = z.string().regex(/^[A-Za-z0-9_-]{21}[AQgw]$/);

const schema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal(salted), salt, ...members }),
  z.strictObject({ type: z.literal(unsalted), ...members }),
]);

/** The event, without the members that make it an entry of a log. */
export interface AuditEvent {
  readonly at: number;
  readonly kind: string;
  readonly actor: string;
  readonly subject: string;
  readonly data: { readonly [key: string]: Json | undefined };
}

/**
 * `at` is Unix milliseconds by the hub's clock; `kind` names the event (`key-released`, `device-quarantined`); `actor` caused it, `subject`
 * is its object; `data` are the event's own members, only whole numbers. Entries from before there was a salt are read unchanged.
 */
export type AuditEntry = AuditEvent &
  ({ readonly type: typeof salted; readonly salt: string } | { readonly type: typeof unsalted });

/** An entry in the present form; `random` are `auditSaltLength` random bytes. */
export function saltedEntry(event: AuditEvent, random: Uint8Array): AuditEntry {
  if (random.length !== auditSaltLength) throw new TypeError(`a salt has ${auditSaltLength} bytes`);
  return { type: salted, salt: toBase64url(random), ...event };
}

/** The bytes to log. Throws `audit-entry-invalid` for an entry that no reader would accept. */
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
  if (bytes.length > AUDIT_ENTRY_BYTES_MAX) {
    throw new CoreError(
      'audit-entry-invalid',
      `an audit entry of ${bytes.length} bytes, at most ${AUDIT_ENTRY_BYTES_MAX} are logged`,
    );
  }
}
