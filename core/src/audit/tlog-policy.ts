// A policy file for witnesses: https://c2sp.org/tlog-policy, the format of Sigsum. Names, groups with thresholds, one quorum. Names mean
// nothing outside the file, with one exception of ours: `device/ID` is the device of that id (spec/receipt.md, "Witness policy").
import { parseUtf8, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeSpki } from '../identity/public-key.ts';
import { parseVerifierKey, type VerifierKey } from './note.ts';

export interface PolicyWitness {
  readonly name: string;
  readonly key: VerifierKey;
}

/** What has to have cosigned: a witness, or `threshold` of a group's members. */
export type QuorumRule =
  | { readonly kind: 'witness'; readonly name: string }
  | {
      readonly kind: 'group';
      readonly name: string;
      readonly threshold: number;
      readonly members: readonly QuorumRule[];
    };

export interface TlogPolicy {
  /** Empty where the log is known otherwise. */
  readonly logs: readonly VerifierKey[];
  readonly witnesses: readonly PolicyWitness[];
  /** `none` asks for no cosignature. */
  readonly quorum: QuorumRule | 'none';
}

/** The format asks for 32 of each; a fleet has more. */
const LINES_MAX = 400_000;
const NAME_MAX = 300;
const wrong = (line: number, what: string) =>
  new CoreError('witness-policy-invalid', `witness policy, line ${line}: ${what}`);

/**
 * Reads a policy file; `defined` are names that its reader defines. Throws `witness-policy-invalid`, or the code of a key that cannot be read.
 */
export function parseTlogPolicy(bytes: Uint8Array, defined: readonly QuorumRule[] = []): TlogPolicy {
  // Printable ASCII, tab, newline, and everything above it.
  if (bytes.some((byte) => (byte < 0x20 && byte !== 0x09 && byte !== 0x0a) || byte === 0x7f))
    throw new CoreError(
      'witness-policy-invalid',
      'witness policy: it has control characters other than tab and newline',
    );
  const lines = parseUtf8(bytes, 'witness policy').split('\n');
  if (lines.length > LINES_MAX)
    throw new CoreError('witness-policy-invalid', `witness policy: over ${LINES_MAX} lines`);
  const reader = new PolicyReader(defined);
  for (const [at, line] of lines.entries()) {
    const items = line.split(/[ \t]+/).filter((item) => item !== '');
    const [keyword] = items;
    if (keyword === undefined || keyword.startsWith('#')) continue;
    reader.read(keyword, items.slice(1), at + 1);
  }
  return reader.policy();
}

class PolicyReader {
  readonly #logs = new Map<string, VerifierKey>();
  readonly #witnesses: PolicyWitness[] = [];
  /** The name of the witness of each key. */
  readonly #keys = new Map<string, string>();
  readonly #rules = new Map<string, QuorumRule>();
  readonly #grouped = new Set<string>();
  #quorum: QuorumRule | 'none' | undefined;

  constructor(defined: readonly QuorumRule[]) {
    for (const rule of defined) this.#rules.set(rule.name, rule);
  }

  read(keyword: string, items: readonly string[], line: number): void {
    if (items.some((item) => item.length > 4_096)) throw wrong(line, 'an item is longer than 4096 characters');
    switch (keyword) {
      case 'log':
        return this.#log(items, line);
      case 'witness':
        return this.#witness(items, line);
      case 'group':
        return this.#group(items, line);
      case 'quorum':
        return this.#setQuorum(items, line);
      default:
        throw wrong(line, `expected log, witness, group or quorum, found ${JSON.stringify(keyword.slice(0, 40))}`);
    }
  }

  policy(): TlogPolicy {
    if (this.#quorum === undefined)
      throw new CoreError('witness-policy-invalid', 'witness policy: it has no quorum line');
    return { logs: [...this.#logs.values()], witnesses: [...this.#witnesses], quorum: this.#quorum };
  }

  #log(items: readonly string[], line: number): void {
    const [text = ''] = items;
    if (items.length < 1 || items.length > 2) throw wrong(line, 'expected log KEY [URL]');
    const key = parseVerifierKey(text);
    if (key.type !== 'ed25519') throw wrong(line, `${key.name}: a log has a key of type 0x01`);
    const digest = spkiOf(key);
    if (this.#logs.has(digest)) throw wrong(line, `the key of ${key.name} is there twice`);
    this.#logs.set(digest, key);
  }

  #witness(items: readonly string[], line: number): void {
    const [name = '', text = '', second = ''] = items;
    // Ours: the key of ML-DSA-44 of a witness that signs by two comes before the URL.
    const keys = /^[^+]+\+[0-9a-f]{8}\+/.test(second) ? `${text} ${second}` : text;
    if (items.length < 2 || items.length > (keys === text ? 3 : 4))
      throw wrong(line, 'expected witness NAME KEY [URL]');
    const key = parseVerifierKey(keys);
    if (key.type !== 'cosignature-v1') throw wrong(line, `${name}: a witness has a key of type 0x04`);
    for (const each of key.postQuantum === undefined ? [key] : [key, key.postQuantum]) {
      const twin = this.#keys.get(spkiOf(each));
      if (twin !== undefined) throw wrong(line, `${twin} and ${name} are one public key`);
      this.#keys.set(spkiOf(each), name);
    }
    this.#define({ kind: 'witness', name }, line);
    this.#witnesses.push({ name, key });
  }

  #group(items: readonly string[], line: number): void {
    const [name = '', count = '', ...names] = items;
    if (names.length === 0) throw wrong(line, 'expected group NAME all|any|K MEMBER…');
    const threshold =
      count === 'all' ? names.length : count === 'any' ? 1 : /^[1-9][0-9]{0,5}$/.test(count) ? Number(count) : 0;
    if (threshold < 1 || threshold > names.length)
      throw wrong(line, `a threshold of ${count.slice(0, 20)} of ${names.length} members`);
    const members = names.map((member) => this.#member(member, line));
    this.#define({ kind: 'group', name, threshold, members }, line);
  }

  #member(name: string, line: number): QuorumRule {
    const rule = this.#rules.get(name);
    if (rule === undefined) throw wrong(line, `${JSON.stringify(name.slice(0, 80))} is not defined before`);
    // Else one witness would count in two ways.
    if (this.#grouped.has(name)) throw wrong(line, `${name} is a member of a group already`);
    this.#grouped.add(name);
    return rule;
  }

  #setQuorum(items: readonly string[], line: number): void {
    const [name = ''] = items;
    if (items.length !== 1) throw wrong(line, 'expected quorum NAME');
    if (this.#quorum !== undefined) throw wrong(line, 'there is another quorum line');
    const rule = name === 'none' ? name : this.#rules.get(name);
    if (rule === undefined) throw wrong(line, `${JSON.stringify(name.slice(0, 80))} is not defined before`);
    this.#quorum = rule;
  }

  #define(rule: QuorumRule, line: number): void {
    const { name } = rule;
    if (name === 'none' || name.length > NAME_MAX) throw wrong(line, 'a name that cannot be used');
    if (this.#rules.has(name)) throw wrong(line, `${name} is defined twice`);
    this.#rules.set(name, rule);
  }
}

function spkiOf({ publicKey }: VerifierKey): string {
  return toHex(encodeSpki(publicKey));
}

/** Whether these witnesses, by their names, are enough. */
export function isEnough(rule: QuorumRule | 'none', cosigned: ReadonlySet<string>): boolean {
  if (rule === 'none') return true;
  if (rule.kind === 'witness') return cosigned.has(rule.name);
  let met = 0;
  for (const member of rule.members) if (isEnough(member, cosigned)) met += 1;
  return met >= rule.threshold;
}

/** How many cosignatures the rule needs at least. */
export function fewestOf(rule: QuorumRule | 'none'): number {
  if (rule === 'none') return 0;
  if (rule.kind === 'witness') return 1;
  const fewest = rule.members.map(fewestOf).toSorted((a, b) => a - b);
  return fewest.slice(0, rule.threshold).reduce((sum, each) => sum + each, 0);
}
