// What the log at the end must say about a history: everything that was answered is there once, in an order that the clients could see; nothing is there
// that nobody asked for; and every checkpoint that the hub ever showed is a beginning of this log.
import { leafHash, nodeHash, rootHash } from '@edgekeep/core/audit/merkle';
import { z } from 'zod';
import type { OperationKind, DeviceState, Recorded, SeenCheckpoint } from './history.ts';

/** An entry as the hub wrote it. */
export type EntryBytes = Uint8Array;

const entrySchema = z.object({ kind: z.string(), subject: z.string() });

interface Entry {
  readonly index: number;
  readonly kind: string;
  readonly subject: string;
}

/** The kind of the entry that an operation makes. */
const kinds: Readonly<Record<OperationKind, string | undefined>> = {
  key: 'key-released',
  quarantine: 'device-quarantined',
  reinstate: 'device-active',
  revoke: 'certificates-revoked',
  token: 'enrolment-token-created',
  look: undefined,
};

/** `since` is the number of entries that the log had when the history began. */
export function logProblems(
  operations: readonly Recorded[],
  bytes: readonly EntryBytes[],
  since = 0,
): readonly string[] {
  const log = new Log(bytes);
  const found = operations.map((operation) => ({ operation, at: entriesOf(operation, log) }));
  return [
    ...found.flatMap(({ operation, at }) => countProblems(operation, at, operations)),
    ...orderProblems(found.map(({ operation, at }) => ({ operation, index: at[0]?.index }))),
    ...unaskedKeys(operations, log, since),
    ...keysInTheLog(log),
  ];
}

class Log {
  readonly entries: readonly Entry[];
  /** By each text in them. */
  readonly #byText = new Map<string, Entry[]>();

  constructor(bytes: readonly EntryBytes[]) {
    this.entries = bytes.map((each, index) => {
      const text = Buffer.from(each).toString('utf8');
      const entry = { index, ...entrySchema.parse(JSON.parse(text)) };
      for (const [, found = ''] of text.matchAll(/"([^"\\]*)"/g)) {
        const known = this.#byText.get(found);
        if (known === undefined) this.#byText.set(found, [entry]);
        else if (known.at(-1) !== entry) known.push(entry);
      }
      return entry;
    });
  }

  with(text: string, kind: string | undefined): readonly Entry[] {
    return (this.#byText.get(text) ?? []).filter((entry) => entry.kind === kind);
  }
}

/** The text that the entry of an operation has; undefined where none is known. */
function markOf({ asked, answer, mark }: Recorded): string | undefined {
  if (answer?.kind === 'key') return answer.lease;
  if (answer?.kind === 'token') return answer.token;
  return asked === 'quarantine' || asked === 'reinstate' || asked === 'revoke' ? mark : undefined;
}

function entriesOf(operation: Recorded, log: Log): readonly Entry[] {
  const mark = markOf(operation);
  return mark === undefined ? [] : log.with(mark, kinds[operation.asked]);
}

function countProblems(operation: Recorded, at: readonly Entry[], operations: readonly Recorded[]): readonly string[] {
  const mark = markOf(operation);
  if (mark === undefined) return [];
  const { client, asked, device, answer } = operation;
  const what = `${client}: ${asked} ${device} (${mark})`;
  if (at.length > 1) return [`${what} is in the log ${at.length} times: ${at.map(({ index }) => index).join(', ')}`];
  if (at.length === 1 || answer === undefined || answer.kind === 'refused') return [];
  return wasDoneBefore(operation, operations) ? [] : [`${what} was answered and is not in the log`];
}

/** An order whose answer was lost may have done what this one asks for: then this one changes nothing. */
function wasDoneBefore({ asked, device, end = Infinity }: Recorded, operations: readonly Recorded[]): boolean {
  if (asked === 'key' || asked === 'token') return false;
  return operations.some(
    (each) => each.asked === asked && each.device === device && each.answer === undefined && each.begin < end,
  );
}

/** What was answered before something else began is before it in the log. */
function orderProblems(
  found: readonly { readonly operation: Recorded; readonly index: number | undefined }[],
): readonly string[] {
  const known = found.flatMap(({ operation, index }) => (index === undefined ? [] : [{ operation, index }]));
  const ends = known.filter(({ operation }) => operation.end !== undefined).toSorted((a, b) => endOf(a) - endOf(b));
  const problems: string[] = [];
  let next = 0;
  let newest: (typeof known)[number] | undefined;
  for (const each of known.toSorted((a, b) => a.operation.begin - b.operation.begin)) {
    for (let ended = ends[next]; ended !== undefined && endOf(ended) < each.operation.begin; ended = ends[next]) {
      if (newest === undefined || ended.index > newest.index) newest = ended;
      next += 1;
    }
    if (newest !== undefined && newest.index > each.index)
      problems.push(
        `${nameOf(each.operation)} has entry ${each.index}, before entry ${newest.index} of ${nameOf(newest.operation)}, which was answered before it began`,
      );
  }
  return problems;
}

const endOf = ({ operation }: { readonly operation: Recorded }) => operation.end ?? Infinity;
const nameOf = ({ client, asked, device, begin }: Recorded) => `${client}: ${asked} ${device} at ${begin}`;

/** Keys in the log that nobody was given: at most as many as requests whose answer was lost. */
function unaskedKeys(operations: readonly Recorded[], log: Log, since: number): readonly string[] {
  const given = new Set(
    operations.filter(({ asked }) => asked === 'key').flatMap((each) => entriesOf(each, log).map(({ index }) => index)),
  );
  const nobodys = log.entries.filter((entry) => isKey(entry) && entry.index >= since && !given.has(entry.index));
  return [...Map.groupBy(nobodys, ({ subject }) => subject)].flatMap(([subject, keys]) => {
    const lost = operations.filter(
      ({ asked, device, answer }) => asked === 'key' && `device:${device}` === subject && answer === undefined,
    ).length;
    if (keys.length <= lost) return [];
    return [`${subject}: ${keys.length} keys are in the log that nobody got, but only ${lost} answers were lost`];
  });
}

const isKey = ({ kind }: Entry) => kind === kinds.key;

/** A reader of the log finds no key of a device between its quarantine and its return. */
function keysInTheLog({ entries }: Log): readonly string[] {
  const states = new Map<string, DeviceState>();
  const problems: string[] = [];
  for (const entry of entries) {
    if (entry.kind === kinds.quarantine) states.set(entry.subject, 'quarantined');
    if (entry.kind === kinds.reinstate) states.set(entry.subject, 'active');
    if (isKey(entry) && states.get(entry.subject) === 'quarantined')
      problems.push(`entry ${entry.index} releases a key to ${entry.subject}, which the log has as quarantined`);
  }
  return problems;
}

/** Every checkpoint is the root of a beginning of the log, and no two of one size differ. */
export function checkpointProblems(
  checkpoints: readonly SeenCheckpoint[],
  entries: readonly EntryBytes[],
): readonly string[] {
  const nodes = hashesOf(entries);
  return [...Map.groupBy(checkpoints, ({ size }) => size)].flatMap(([size, seen]) => {
    const { client } = seen[0] ?? { client: '' };
    const roots = new Set(seen.map(({ root }) => root));
    if (roots.size > 1) return [`the log is forked: ${roots.size} checkpoints of ${size} entries differ`];
    if (size > entries.length) return [`${client} saw a log of ${size} entries, and only ${entries.length} are left`];
    const root = Buffer.from(rootHash(size, nodes)).toString('base64');
    return roots.has(root) ? [] : [`${client} saw a log of ${size} entries that is no beginning of the present one`];
  });
}

function hashesOf(entries: readonly EntryBytes[]) {
  const levels: Uint8Array[][] = [entries.map(leafHash)];
  for (let below = levels[0] ?? []; below.length > 1; below = levels.at(-1) ?? []) {
    const level: Uint8Array[] = [];
    for (let at = 0; at + 1 < below.length; at += 2)
      level.push(nodeHash(below[at] ?? new Uint8Array(0), below[at + 1] ?? new Uint8Array(0)));
    levels.push(level);
  }
  return (level: number, index: number) => levels[level]?.[index] ?? new Uint8Array(0);
}
