// One of several that serve equally, such as the nodes of a hub: chosen at random, so that a fleet spreads over them, and never the same again
// where there is another.

export class OneOf<Value> {
  readonly #values: readonly [Value, ...Value[]];
  readonly #random: () => number;
  #current: Value;

  /** `random` is uniform in [0, 1). */
  constructor(values: readonly [Value, ...Value[]], random: () => number) {
    this.#values = values;
    this.#random = random;
    this.#current = this.#choose(values);
  }

  get current(): Value {
    return this.#current;
  }

  /** Takes another one; the only one stays. */
  change(): void {
    this.#current = this.#choose(this.#values.filter((value) => value !== this.#current));
  }

  #choose(values: readonly Value[]): Value {
    if (values.length <= 1) return values[0] ?? this.#current;
    return values[Math.floor(this.#random() * values.length)] ?? this.#values[0];
  }
}
