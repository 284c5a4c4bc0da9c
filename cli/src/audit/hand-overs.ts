// The hand-overs in a log that is read from its first entry on (spec/audit-log.md, "Hand-over"): which key signed which range. The tree is computed
// here, so no proof is needed: the former log's last checkpoint must have the root of the entries up to its end.
import { openCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { handOverEntryOf, type HandOverEntry } from '@edgekeep/core/audit/hand-over';
import { classicalPart, encodeVerifierKey, parseVerifierKey, type VerifierKey } from '@edgekeep/core/audit/note';
import { appendLeaves, edgeRoot, type TreeEdge } from '@edgekeep/core/audit/tree-edge';
import { equalBytes } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';

/** Entries `from` to `to`, both included, and the key that signs them. */
export interface LogRange {
  readonly key: string;
  readonly from: number;
  readonly to: number;
  /** The verifier key that the last entry of the range names; undefined for a log that goes on. */
  readonly successor: string | undefined;
}

export type HandOversVerdict =
  | { readonly kind: 'verified'; readonly ranges: readonly LogRange[] }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

interface End {
  readonly index: number;
  readonly successor: string;
  /** Of the tree that ends with this entry. */
  readonly root: Uint8Array;
}

export class HandOverReader {
  readonly #ranges: LogRange[] = [];
  readonly #reasons: string[] = [];
  #end: End | undefined;

  /** The next entries; `before` is the tree that they are appended to, `hashes` are theirs. */
  read(entries: readonly Uint8Array[], before: TreeEdge, hashes: readonly Uint8Array[]): void {
    for (const [at, entry] of entries.entries()) {
      const index = before.size + at;
      const found = this.#entryAt(index, entry);
      if (this.#end !== undefined && found?.kind !== 'begun')
        this.#reasons.push(`entry ${this.#end.index} ends the log, and entry ${index} does not begin the next one`);
      if (found?.kind === 'begun') this.#begin(index, found);
      else this.#end = undefined;
      if (found?.kind !== 'ended') continue;
      const root = edgeRoot(appendLeaves(before, hashes.slice(0, at + 1)).edge);
      this.#end = { index, successor: found.successor, root };
    }
  }

  /** After the last entry. `key` signed the checkpoint over all of them; `known` are all logs that the reader trusts, if it knows them. */
  finish(size: number, key: VerifierKey, known?: readonly VerifierKey[]): HandOversVerdict {
    const own = textOf(key);
    const last = this.#ranges.at(-1);
    if (last?.successor !== undefined && last.successor !== own)
      this.#reasons.push(`the log was handed over to ${last.successor}, and the checkpoint is signed by ${own}`);
    const from = last === undefined ? 0 : last.to + 1;
    if (size > 0) this.#ranges.push({ key: own, from, to: size - 1, successor: this.#end?.successor });
    const listed = known?.map(textOf);
    for (const range of this.#ranges) {
      if (listed !== undefined && !listed.includes(range.key))
        this.#reasons.push(`${rangeText(range)} were signed by ${range.key}, which is not a trusted log`);
    }
    if (this.#reasons.length > 0) return { kind: 'refused', reasons: this.#reasons };
    return { kind: 'verified', ranges: this.#ranges };
  }

  #begin(index: number, { previous, checkpoint }: Extract<HandOverEntry, { kind: 'begun' }>): void {
    const end = this.#end;
    this.#end = undefined;
    if (end === undefined) {
      this.#reasons.push(`entry ${index} begins a log, and the entry before it does not end one`);
      return;
    }
    const problem = problemOf(end, previous, checkpoint);
    if (problem !== undefined) this.#reasons.push(`hand-over at entry ${index}: ${problem}`);
    const former = this.#ranges.at(-1);
    const key = classicalText(previous);
    if (former !== undefined && former.successor !== key)
      this.#reasons.push(`hand-over at entry ${index}: the log before was handed over to ${former.successor ?? ''}`);
    const from = former === undefined ? 0 : former.to + 1;
    this.#ranges.push({ key, from, to: end.index, successor: classicalText(end.successor) });
  }

  #entryAt(index: number, entry: Uint8Array): HandOverEntry | undefined {
    try {
      return handOverEntryOf(entry);
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      this.#reasons.push(`entry ${index}: ${error.message}`);
      return undefined;
    }
  }
}

/** A range for people. */
export function rangeText({ from, to }: LogRange): string {
  return from === to ? `entry ${from}` : `entries ${from} to ${to}`;
}

// The former log's own word: its last checkpoint ends where the entry says.
function problemOf(end: End, previous: string, note: Uint8Array): string | undefined {
  try {
    const opened = openCheckpoint(note, parseVerifierKey(previous));
    if (opened.kind === 'refused') return opened.reasons.join('; ');
    const { size, root } = opened.checkpoint;
    if (size !== end.index + 1) return `the former log's last checkpoint is of ${size} entries, not ${end.index + 1}`;
    if (!equalBytes(root, end.root)) return "the former log's last checkpoint has another root than its entries";
    parseVerifierKey(end.successor);
    return undefined;
  } catch (error) {
    if (error instanceof CoreError) return error.message;
    throw error;
  }
}

function classicalText(text: string): string {
  try {
    return textOf(parseVerifierKey(text));
  } catch (error) {
    if (error instanceof CoreError) return text;
    throw error;
  }
}

function textOf(key: VerifierKey): string {
  return encodeVerifierKey(classicalPart(key));
}
