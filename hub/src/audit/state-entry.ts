// Entries about the security state (spec/audit-log.md, "The state of the store"): what changed, and at intervals the digest of all of it. Each has
// a code under the hub's state key: an entry that somebody wrote into a stopped store has none.
import { createHmac, hash } from 'node:crypto';
import { type AuditEvent, parseAuditEntry } from '@edgekeep/core/audit/entry';
import { equalBytes, parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { encodeCanonicalJson, type Json } from '@edgekeep/core/json';
import { z } from 'zod';
import type { SecurityTable } from '../store/security-tables.ts';

const stateKind = 'security-state';
const changedKind = 'security-state-changed';
/** In the bytes of every such entry: a quick look before an entry is parsed. */
export const stateMark = Buffer.from(`"kind":"${stateKind}`);

/** Digests in one entry: 8 KiB hold them. */
const DIGESTS_MAX = 150;

const digest = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
const tableName = z.string().regex(/^[a-z][a-z_]{0,63}$/);
const linked = { previous: z.int().min(-1), code: digest };
const tableState = z.strictObject({ rows: z.int().min(0), digest });
const stateData = z.strictObject({
  reason: z.enum(['adopted', 'interval', 'layout', 'accepted']),
  tables: z.record(tableName, tableState),
  layout: digest,
  ...linked,
});
const changes = z.record(
  tableName,
  z.strictObject({ added: z.array(digest).optional(), removed: z.array(digest).optional() }),
);
const changedData = z.strictObject({ changes, ...linked });

export type TableState = z.infer<typeof tableState>;
export type StateReason = z.infer<typeof stateData>['reason'];

export type StateEntry =
  | ({ readonly kind: 'state' } & z.infer<typeof stateData>)
  | ({ readonly kind: 'changed' } & z.infer<typeof changedData>);

type Content =
  | { readonly kind: typeof stateKind; readonly data: Readonly<Record<string, Json>> }
  | { readonly kind: typeof changedKind; readonly data: Readonly<Record<string, Json>> };

/** The event of an entry with this number; `previous` is the number of the entry of its kind before it, or -1. */
export function stateEvent(
  key: Uint8Array,
  place: { readonly index: number; readonly previous: number; readonly at: number },
  content: Content,
): AuditEvent {
  const { index, previous, at } = place;
  const data = { ...content.data, previous };
  const code = toBase64url(codeOf(key, index, content.kind, data));
  return { at, kind: content.kind, actor: 'hub', subject: 'store', data: { ...data, code } };
}

export function stateContent(reason: StateReason, tables: ReadonlyMap<string, TableState>, layout: string): Content {
  return { kind: stateKind, data: { reason, tables: Object.fromEntries(tables), layout: layoutDigest(layout) } };
}

export interface TableChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** One entry for each 150 digests. */
export function changeContents(changed: ReadonlyMap<string, TableChanges>): readonly Content[] {
  const all = [...changed].flatMap(([table, { added, removed }]) => [
    ...removed.map((each) => ({ table, way: 'removed' as const, digest: each })),
    ...added.map((each) => ({ table, way: 'added' as const, digest: each })),
  ]);
  const contents: Content[] = [];
  for (let at = 0; at < all.length; at += DIGESTS_MAX) {
    const tables: Record<string, { added?: string[]; removed?: string[] }> = {};
    for (const { table, way, digest: each } of all.slice(at, at + DIGESTS_MAX)) {
      const of = (tables[table] ??= {});
      (of[way] ??= []).push(each);
    }
    contents.push({ kind: changedKind, data: { changes: tables } });
  }
  return contents;
}

/** Undefined for an entry of another kind. Throws for one that is not in the form above. */
export function parseStateEntry(bytes: Uint8Array): StateEntry | undefined {
  if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(stateMark)) return undefined;
  const { kind, data } = parseAuditEntry(bytes);
  if (kind === stateKind) return { kind: 'state', ...stateData.parse(data) };
  if (kind === changedKind) return { kind: 'changed', ...changedData.parse(data) };
  return undefined;
}

/** Whether this hub wrote the entry as number `index` of its log. */
export function isOwnEntry(key: Uint8Array, index: number, entry: StateEntry): boolean {
  const { kind, code, ...data } = entry;
  const expected = codeOf(key, index, kind === 'state' ? stateKind : changedKind, data);
  return equalBytes(expected, parseBase64url(code, 'code'));
}

function codeOf(key: Uint8Array, index: number, kind: string, data: Readonly<Record<string, Json | undefined>>) {
  return createHmac('sha256', key).update(encodeCanonicalJson({ index, kind, data })).digest();
}

/** What the digests are over, as text; kept in the store, with its digest in the entry. */
export function layoutOf(tables: readonly SecurityTable[]): string {
  return JSON.stringify(
    tables.map(({ table, columns, reals, where }) => ({
      table,
      columns,
      ...(reals && { reals }),
      ...(where && { where }),
    })),
  );
}

const word = z.string().regex(/^[a-z][a-z0-9_]{0,63}$/);
const layoutSchema = z.array(
  z.strictObject({
    table: tableName,
    columns: z.array(word).min(1),
    /** A layout of the version before has none: there every number was digested as it was printed. */
    reals: z.array(word).min(1).optional(),
    where: z.strictObject({ column: word, value: word }).optional(),
  }),
);

/** The tables of a layout. Names are words, because SQL is made of them. */
export function parseLayout(text: string): readonly Omit<SecurityTable, 'absence'>[] {
  return layoutSchema
    .parse(JSON.parse(text))
    .map(({ where, reals, ...each }) => ({ ...each, ...(reals && { reals }), ...(where && { where }) }));
}

export function layoutDigest(layout: string): string {
  return hash('sha256', layout, 'base64url');
}

/** The digest of one row. */
export function rowDigest(table: string, text: string): string {
  return hash('sha256', `${table}\n${text}`, 'base64url');
}
