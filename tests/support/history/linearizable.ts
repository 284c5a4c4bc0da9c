// Whether a recorded history of one object is linearisable: each operation takes effect at one moment between its begin and its end, and the answers
// are those of the object in that order (Herlihy and Wing). The search is the one of just-in-time linearisation (Lowe, "Testing for linearizability"):
// it goes through begins and ends in time and keeps every state that the object can be in. An operation whose answer was lost may have taken effect at
// any time after its begin, or never.

export interface Operation<Act> {
  readonly act: Act;
  /** Moments of one clock: no two are the same. */
  readonly begin: number;
  /** Undefined: the answer was lost, so only `begin` is known. */
  readonly end: number | undefined;
}

/** An object: its first state, and the state after an operation; undefined where the answer could not be this one in that state. */
export interface Model<State extends string, Act> {
  readonly initial: State;
  step(state: State, act: Act): State | undefined;
  /** Lost operations with one name are the same order: which of them took effect makes no difference. */
  nameOf(act: Act): string;
}

export type Verdict<Act> =
  | { readonly kind: 'linearisable' }
  /** No order gives this answer: `operation` is the first whose end leaves no state. */
  | { readonly kind: 'violated'; readonly operation: Operation<Act>; readonly states: readonly string[] };

/** One way in which everything so far can have happened. */
interface Way<State> {
  readonly state: State;
  /** Operations that took effect and whose end comes later. */
  readonly done: ReadonlySet<Operation<unknown>>;
  /** How many lost operations of each name took effect. */
  readonly spent: ReadonlyMap<string, number>;
}

export function checkLinearisable<State extends string, Act>(
  operations: readonly Operation<Act>[],
  model: Model<State, Act>,
): Verdict<Act> {
  const events = operations
    .flatMap((operation) => [
      { at: operation.begin, operation, isEnd: false },
      ...(operation.end === undefined ? [] : [{ at: operation.end, operation, isEnd: true }]),
    ])
    .toSorted((a, b) => a.at - b.at);
  const open = new Open<Act>((act) => model.nameOf(act));
  let ways: readonly Way<State>[] = [{ state: model.initial, done: new Set(), spent: new Map() }];
  for (const { operation, isEnd } of events) {
    if (!isEnd) {
      open.begin(operation);
      continue;
    }
    const next = waysThrough(ways, operation, open, model);
    if (next.length === 0) return { kind: 'violated', operation, states: [...new Set(ways.map(({ state }) => state))] };
    open.end(operation);
    ways = next;
  }
  return { kind: 'linearisable' };
}

/** The operations that have begun and not ended. */
class Open<Act> {
  readonly answered = new Set<Operation<Act>>();
  readonly lost = new Map<string, { readonly act: Act; count: number }>();
  readonly #nameOf: (act: Act) => string;

  constructor(nameOf: (act: Act) => string) {
    this.#nameOf = nameOf;
  }

  begin(operation: Operation<Act>): void {
    if (operation.end !== undefined) {
      this.answered.add(operation);
      return;
    }
    const name = this.#nameOf(operation.act);
    const known = this.lost.get(name);
    if (known === undefined) this.lost.set(name, { act: operation.act, count: 1 });
    else known.count += 1;
  }

  end(operation: Operation<Act>): void {
    this.answered.delete(operation);
  }
}

/** All ways in which `ended` has taken effect, each reached with as few other operations as possible. */
function waysThrough<State extends string, Act>(
  ways: readonly Way<State>[],
  ended: Operation<Act>,
  open: Open<Act>,
  model: Model<State, Act>,
): readonly Way<State>[] {
  const seen = new Ways<State>();
  const found = new Ways<State>();
  const waiting = ways.filter((way) => seen.add(way));
  for (let way = waiting.shift(); way !== undefined; way = waiting.shift()) {
    if (way.done.has(ended)) {
      const done = new Set(way.done);
      done.delete(ended);
      found.add({ ...way, done });
      continue;
    }
    for (const next of after(way, open, model)) if (seen.add(next)) waiting.push(next);
  }
  return found.all();
}

/** The ways that have one more operation. */
function* after<State extends string, Act>(
  way: Way<State>,
  { answered, lost }: Open<Act>,
  model: Model<State, Act>,
): Generator<Way<State>> {
  for (const operation of answered) {
    if (way.done.has(operation)) continue;
    const state = model.step(way.state, operation.act);
    if (state !== undefined) yield { ...way, state, done: new Set([...way.done, operation]) };
  }
  for (const [name, { act, count }] of lost) {
    const spent = way.spent.get(name) ?? 0;
    if (spent === count) continue;
    const state = model.step(way.state, act);
    // One that changes nothing need not have happened.
    if (state === undefined || state === way.state) continue;
    yield { ...way, state, spent: new Map([...way.spent, [name, spent + 1]]) };
  }
}

/** Ways without those that another one makes needless: the same, with more lost operations spent. */
class Ways<State> {
  readonly #ways: Way<State>[] = [];

  /** False where it is needless. */
  add(way: Way<State>): boolean {
    if (this.#ways.some((known) => allowsAll(known, way))) return false;
    for (let at = this.#ways.length - 1; at >= 0; at -= 1) {
      const known = this.#ways[at];
      if (known !== undefined && allowsAll(way, known)) this.#ways.splice(at, 1);
    }
    this.#ways.push(way);
    return true;
  }

  all(): readonly Way<State>[] {
    return this.#ways;
  }
}

/** Whether everything that can follow `other` can follow `way`. */
function allowsAll<State>(way: Way<State>, other: Way<State>): boolean {
  if (way.state !== other.state || way.done.size !== other.done.size) return false;
  for (const operation of way.done) if (!other.done.has(operation)) return false;
  for (const [name, count] of way.spent) if (count > (other.spent.get(name) ?? 0)) return false;
  return true;
}
