// Patterns of paths in an IMA policy (spec/ima-policy.md, "Patterns"): regular expressions without anything that needs to try twice. All
// patterns of a policy are one automaton, so a path is read once, and a path that a device chose cannot make the match slow.
import { CoreError } from '../error.ts';

const PATTERN_LENGTH_MAX = 512;
const REPEAT_MAX = 64;
/** Of all patterns of a policy together. */
const NODES_MAX = 8_192;
const PATH_LENGTH_MAX = 4_096; // PATH_MAX of Linux
// A set of nodes that was reached before is found again; devices must not fill the memory with them.
const KNOWN_STATES_MAX = 4_096;
const BYTE_VALUES = 256;
/** What a byte holds: visits are forgotten after a few hundred rounds, which tests reach. */
const ROUND_MAX = 255;

/** Takes one character to `next`; one without `accepts` takes none to `next` and `other`. */
interface Node {
  readonly accepts: ((code: number) => boolean) | undefined;
  next: number;
  other: number;
}

interface State {
  readonly nodes: readonly number[];
  readonly ends: boolean;
  /** By the number of an interval of characters: the patterns tell characters of one interval not apart. */
  readonly after: Map<number, State>;
}

/** How many nodes matching may still visit: paths beyond it match nothing. */
export interface MatchBudget {
  left: number;
}

const END = -1;

export class PathPatterns {
  readonly #nodes: readonly Node[];
  readonly #start: readonly number[];
  /** Where an interval of characters begins, ascending. */
  readonly #begins: Uint32Array;
  readonly #intervalOfByte: Uint16Array;
  /** By node: the round in which it was visited last. */
  readonly #seen: Uint8Array;
  #round = 0;
  #known = new Map<string, State>();
  #first: State | undefined;

  /** Throws `ima-policy-invalid` for a pattern outside the syntax, and for patterns that are too long together. */
  constructor(patterns: readonly string[]) {
    const nodes: Node[] = [];
    const begins = new Set([0]);
    this.#start = patterns.map((pattern) => new PatternReader(pattern, nodes, begins).read());
    this.#nodes = nodes;
    this.#begins = Uint32Array.from(begins).toSorted();
    this.#seen = new Uint8Array(nodes.length);
    this.#intervalOfByte = Uint16Array.from({ length: BYTE_VALUES }, (_, code) => this.#search(code));
  }

  /** Whether a pattern matches the whole path. */
  matches(path: string, budget: MatchBudget): boolean {
    if (this.#start.length === 0 || path.length > PATH_LENGTH_MAX) return false;
    this.#first ??= this.#stateOf(this.#start, budget);
    let state = this.#first;
    for (let at = 0; at < path.length; at += 1) {
      if (state.nodes.length === 0) return false;
      const code = path.charCodeAt(at);
      const interval = code < BYTE_VALUES ? (this.#intervalOfByte[code] ?? 0) : this.#search(code);
      let after = state.after.get(interval);
      if (after === undefined) {
        if (budget.left <= 0) return false;
        after = this.#step(state, code, budget);
        state.after.set(interval, after);
      }
      state = after;
    }
    return state.ends;
  }

  /** The number of the interval that has this character. */
  #search(code: number): number {
    let low = 0;
    let high = this.#begins.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#begins[middle] ?? 0) <= code) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #step({ nodes }: State, code: number, budget: MatchBudget): State {
    budget.left -= nodes.length;
    const reached = nodes.filter((id) => this.#nodes[id]?.accepts?.(code) === true);
    return this.#stateOf(
      reached.map((id) => this.#nodes[id]?.next ?? END),
      budget,
    );
  }

  // A number that does not fit is never found again, and a loop of nodes without characters would have no end.
  #beginRound(): void {
    if (this.#round === ROUND_MAX) {
      this.#seen.fill(0);
      this.#round = 0;
    }
    this.#round += 1;
  }

  // The nodes that take a character, and the end, from `from` without taking one.
  #stateOf(from: readonly number[], budget: MatchBudget): State {
    this.#beginRound();
    const open = [...from];
    const nodes: number[] = [];
    let ends = false;
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (id === END) ends = true;
      const node = this.#nodes[id];
      if (node === undefined || this.#seen[id] === this.#round) continue;
      this.#seen[id] = this.#round;
      budget.left -= 1;
      if (node.accepts === undefined) open.push(node.next, node.other);
      else nodes.push(id);
    }
    nodes.sort((a, b) => a - b);
    const key = `${ends} ${nodes.join(',')}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= KNOWN_STATES_MAX) {
      this.#known = new Map();
      this.#first = undefined;
    }
    const state = { nodes, ends, after: new Map() };
    this.#known.set(key, state);
    return state;
  }
}

/** A part of a pattern: where it begins, and its edges that have no end yet. */
interface Part {
  readonly start: number;
  readonly leave: readonly ((to: number) => void)[];
}

class PatternReader {
  readonly #pattern: string;
  readonly #nodes: Node[];
  /** Characters at which an interval begins. */
  readonly #begins: Set<number>;
  #at = 0;

  constructor(pattern: string, nodes: Node[], begins: Set<number>) {
    if (pattern.length === 0 || pattern.length > PATTERN_LENGTH_MAX)
      throw invalid(pattern.slice(0, 40), `it has ${pattern.length} characters, expected 1 to ${PATTERN_LENGTH_MAX}`);
    this.#pattern = pattern;
    this.#nodes = nodes;
    this.#begins = begins;
  }

  /** The first node; the last ones lead to the end. */
  read(): number {
    if (this.#peek() === '^') this.#at += 1;
    const part = this.#alternatives();
    if (this.#peek() === '$') this.#at += 1;
    if (this.#at < this.#pattern.length) throw this.#unexpected();
    leaveTo(part, END);
    return part.start;
  }

  #alternatives(): Part {
    let part = this.#sequence();
    while (this.#peek() === '|') {
      this.#at += 1;
      const other = this.#sequence();
      const start = this.#add(undefined, part.start, other.start);
      part = { start, leave: [...part.leave, ...other.leave] };
    }
    return part;
  }

  #sequence(): Part {
    let part = this.#empty();
    for (let next = this.#peek(); next !== undefined && !'|)'.includes(next); next = this.#peek()) {
      if (next === '$' && this.#at === this.#pattern.length - 1) break;
      const from = this.#at;
      const item = this.#item();
      const to = this.#at;
      part = this.#joined(part, this.#repeated(item, from, to));
    }
    return part;
  }

  #repeated(item: Part, from: number, to: number): Part {
    const sign = this.#peek();
    if (sign === undefined || !'*+?{'.includes(sign)) return item;
    const [minTimes, maxTimes] = this.#times();
    const again = this.#at;
    const copy = () => {
      this.#at = from;
      const part = this.#item();
      if (this.#at !== to) throw this.#unexpected();
      return part;
    };
    let part = this.#empty();
    for (let time = 0; time < minTimes; time += 1) part = this.#joined(part, time === 0 ? item : copy());
    if (maxTimes === undefined) part = this.#joined(part, this.#loop(minTimes === 0 ? item : copy()));
    else
      for (let time = minTimes; time < maxTimes; time += 1)
        part = this.#joined(part, this.#maybe(time === 0 ? item : copy()));
    this.#at = again;
    if ('*+?{'.includes(this.#peek() ?? ' ')) throw this.#unexpected();
    return part;
  }

  // How often; the second is left out for any number.
  #times(): readonly [number, number | undefined] {
    const sign = this.#take();
    if (sign === '*') return [0, undefined];
    if (sign === '+') return [1, undefined];
    if (sign === '?') return [0, 1];
    const [whole = '', from = '', comma, to] = /^(\d{1,3})(,(\d{0,3}))?\}/.exec(this.#pattern.slice(this.#at)) ?? [];
    if (whole === '') throw this.#unexpected();
    this.#at += whole.length;
    const minTimes = Number(from);
    const maxTimes = comma === undefined ? minTimes : to === '' || to === undefined ? undefined : Number(to);
    if (minTimes > REPEAT_MAX || (maxTimes !== undefined && (maxTimes > REPEAT_MAX || maxTimes < minTimes)))
      throw invalid(this.#pattern, `it repeats more than ${REPEAT_MAX} times, or backwards`);
    return [minTimes, maxTimes];
  }

  #item(): Part {
    const sign = this.#take();
    if (sign === '(') {
      if (this.#pattern.startsWith('?:', this.#at)) this.#at += 2;
      const part = this.#alternatives();
      if (this.#take() !== ')') throw this.#unexpected();
      return part;
    }
    if (sign === '.') return this.#taking(() => true);
    if (sign === '[') return this.#taking(this.#class());
    if (sign === '\\') return this.#taking(this.#escaped());
    if ('*+?{}^$)'.includes(sign)) throw this.#unexpected();
    const code = sign.charCodeAt(0);
    return this.#taking(this.#between(code, code));
  }

  #class(): (code: number) => boolean {
    const negated = this.#peek() === '^';
    if (negated) this.#at += 1;
    const parts: ((code: number) => boolean)[] = [];
    while (this.#peek() !== ']') {
      const from = this.#take();
      if (from === '[') throw this.#unexpected();
      if (from === '\\') {
        parts.push(this.#escaped());
        continue;
      }
      const first = from.charCodeAt(0);
      let last = first;
      if (this.#peek() === '-' && this.#pattern[this.#at + 1] !== ']') {
        this.#at += 1;
        last = this.#take().charCodeAt(0);
        if (last < first) throw this.#unexpected();
      }
      parts.push(this.#between(first, last));
    }
    this.#at += 1;
    return (code) => parts.some((part) => part(code)) !== negated;
  }

  #escaped(): (code: number) => boolean {
    const sign = this.#take();
    if (sign === 'd') return this.#between(48, 57);
    if (sign === 'w') {
      const parts = [this.#between(48, 57), this.#between(95, 95), this.#between(65, 90), this.#between(97, 122)];
      return (code) => parts.some((part) => part(code));
    }
    if (/[A-Za-z0-9]/.test(sign)) throw this.#unexpected();
    const own = sign.charCodeAt(0);
    return this.#between(own, own);
  }

  #between(first: number, last: number): (code: number) => boolean {
    this.#begins.add(first);
    this.#begins.add(last + 1);
    return (code) => code >= first && code <= last;
  }

  #taking(accepts: (code: number) => boolean): Part {
    const start = this.#add(accepts, END, END);
    return { start, leave: [this.#setting(start, 'next')] };
  }

  #empty(): Part {
    const start = this.#add(undefined, END, END);
    return { start, leave: [(to) => this.#setting(start, 'next')(to), this.#setting(start, 'other')] };
  }

  #loop(item: Part): Part {
    const start = this.#add(undefined, item.start, END);
    leaveTo(item, start);
    return { start, leave: [this.#setting(start, 'other')] };
  }

  #maybe(item: Part): Part {
    const start = this.#add(undefined, item.start, END);
    return { start, leave: [...item.leave, this.#setting(start, 'other')] };
  }

  #joined(first: Part, second: Part): Part {
    leaveTo(first, second.start);
    return { start: first.start, leave: second.leave };
  }

  #add(accepts: Node['accepts'], next: number, other: number): number {
    if (this.#nodes.length >= NODES_MAX)
      throw invalid(this.#pattern, `the patterns together need more than ${NODES_MAX} nodes`);
    return this.#nodes.push({ accepts, next, other }) - 1;
  }

  #setting(id: number, edge: 'next' | 'other'): (to: number) => void {
    return (to) => {
      const node = this.#nodes[id];
      if (node !== undefined) node[edge] = to;
    };
  }

  #peek(): string | undefined {
    return this.#pattern[this.#at];
  }

  #take(): string {
    const sign = this.#pattern[this.#at];
    if (sign === undefined) throw invalid(this.#pattern, 'it ends too early');
    this.#at += 1;
    return sign;
  }

  #unexpected(): CoreError {
    return invalid(this.#pattern, `character ${this.#at} is not in the syntax`);
  }
}

function leaveTo({ leave }: Part, to: number): void {
  for (const each of leave) each(to);
}

function invalid(pattern: string, problem: string): CoreError {
  return new CoreError('ima-policy-invalid', `the pattern ${JSON.stringify(pattern.slice(0, 80))}: ${problem}`);
}
