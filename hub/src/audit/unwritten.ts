// Cosignatures of devices on their way into the store (spec/agent.md, "A lost file"): they are written with the device's next report, so that a
// check-in costs no transaction more.

export interface Witnessed {
  readonly size: number;
  /** The signed note. */
  readonly note: Uint8Array;
}

/** Cosignatures that came and are not in the store yet: at most one of each device. */
export class UnwrittenCosignatures {
  readonly #newest = new Map<string, Witnessed>();

  note(deviceId: string, witnessed: Witnessed): void {
    const before = this.#newest.get(deviceId);
    if (before === undefined || before.size <= witnessed.size) this.#newest.set(deviceId, witnessed);
  }

  of(deviceId: string): Witnessed | undefined {
    return this.#newest.get(deviceId);
  }

  /** It is in the store. */
  written(deviceId: string, witnessed: Witnessed): void {
    if (this.#newest.get(deviceId) === witnessed) this.#newest.delete(deviceId);
  }
}
