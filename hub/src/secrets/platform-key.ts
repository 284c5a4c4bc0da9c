// The platform key, in one version or, during a roll-over, in two. New secrets are wrapped under the newest; each wrapped value names
// its version.

/** AES-256. */
export const platformKeyLength = 32;

export class PlatformKey {
  readonly #versions: Map<number, Uint8Array>;
  #newest: number;

  /** Takes the keys over, by their versions, and zeroes them when it is disposed of. */
  constructor(versions: ReadonlyMap<number, Uint8Array>) {
    if (versions.size === 0) throw new TypeError('a platform key without a version');
    this.#versions = new Map(versions);
    this.#newest = Math.max(...versions.keys());
  }

  /** The version that new secrets are wrapped under. */
  get newest(): number {
    return this.#newest;
  }

  /** Versions that a roll-over has not ended yet, oldest first. */
  get older(): readonly number[] {
    return [...this.#versions.keys()].filter((version) => version < this.#newest).toSorted((a, b) => a - b);
  }

  key(version: number): Uint8Array | undefined {
    return this.#versions.get(version);
  }

  add(version: number, key: Uint8Array): void {
    if (version <= this.#newest) throw new TypeError(`version ${version} is not newer than ${this.#newest}`);
    this.#versions.set(version, key);
    this.#newest = version;
  }

  forget(version: number): void {
    if (version === this.#newest) throw new TypeError('the newest version is in use');
    this.#versions.get(version)?.fill(0);
    this.#versions.delete(version);
  }

  [Symbol.dispose](): void {
    for (const key of this.#versions.values()) key.fill(0);
    this.#versions.clear();
  }
}

/** Its name in the key store; the first version is from before there were several and has no number. */
export function platformKeyName(version: number): string {
  return version === 1 ? 'platform.key' : `platform-${version}.key`;
}

/** The version that a name in the key store belongs to, or undefined for any other key. */
export function platformKeyVersion(name: string): number | undefined {
  if (name === 'platform.key') return 1;
  const digits = /^platform-([1-9][0-9]{0,8})\.key$/.exec(name)?.[1];
  return digits === undefined || digits === '1' ? undefined : Number(digits);
}
