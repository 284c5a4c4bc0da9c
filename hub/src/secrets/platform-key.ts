// The platform key, in one generation or, during a roll-over, in two. New secrets are wrapped under the newest; each wrapped value names
// its generation.

/** AES-256. */
export const platformKeyLength = 32;

export class PlatformKey {
  readonly #generations: Map<number, Uint8Array>;
  #newest: number;

  /** Takes the keys over, by their generations, and zeroes them when it is disposed of. */
  constructor(generations: ReadonlyMap<number, Uint8Array>) {
    if (generations.size === 0) throw new TypeError('a platform key without a generation');
    this.#generations = new Map(generations);
    this.#newest = Math.max(...generations.keys());
  }

  /** The generation that new secrets are wrapped under. */
  get newest(): number {
    return this.#newest;
  }

  /** Generations that a roll-over has not ended yet, oldest first. */
  get older(): readonly number[] {
    return [...this.#generations.keys()].filter((generation) => generation < this.#newest).toSorted((a, b) => a - b);
  }

  key(generation: number): Uint8Array | undefined {
    return this.#generations.get(generation);
  }

  add(generation: number, key: Uint8Array): void {
    if (generation <= this.#newest) throw new TypeError(`generation ${generation} is not newer than ${this.#newest}`);
    this.#generations.set(generation, key);
    this.#newest = generation;
  }

  forget(generation: number): void {
    if (generation === this.#newest) throw new TypeError('the newest generation is in use');
    this.#generations.get(generation)?.fill(0);
    this.#generations.delete(generation);
  }

  [Symbol.dispose](): void {
    for (const key of this.#generations.values()) key.fill(0);
    this.#generations.clear();
  }
}

/** Its name in the key store; the first generation is from before there were several and has no number. */
export function platformKeyName(generation: number): string {
  return generation === 1 ? 'platform.key' : `platform-${generation}.key`;
}

/** The generation that a name in the key store belongs to, or undefined for any other key. */
export function platformKeyGeneration(name: string): number | undefined {
  if (name === 'platform.key') return 1;
  const digits = /^platform-([1-9][0-9]{0,8})\.key$/.exec(name)?.[1];
  return digits === undefined || digits === '1' ? undefined : Number(digits);
}
