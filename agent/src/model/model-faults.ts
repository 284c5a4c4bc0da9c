// The faults of each model, kept across restarts, so that neither the next check-in nor the next start requests another key for a release
// that cannot be used here. A fault belongs to one manifest: another release is tried, and this one again when an operator orders it.
import { utf8 } from '@edgekeep/core/bytes';
import { parseJson } from '@edgekeep/core/json';
import { modelNamePattern } from '@edgekeep/core/model/manifest';
import { replaceFile } from '@edgekeep/host/durable-file';
import { Serial } from '@edgekeep/host/serial';
import {
  FAULT_MESSAGE_CHARACTERS_MAX,
  modelFaultCodes,
  modelFaultPlaces,
  type ReportedFault,
} from '@edgekeep/wire/api/model-report';
import { z } from 'zod';
import { costsKey, isFinal, type ModelFault } from './model-fault.ts';
import { readIfThere } from '../state-folder.ts';
import type { VerifiedModel } from './model.ts';

const fault = z.strictObject({
  version: z.string().max(128).nullable(),
  manifestDigest: z.string().max(64).nullable(),
  code: z.enum(modelFaultCodes),
  place: z.enum(modelFaultPlaces),
  message: z.string().max(FAULT_MESSAGE_CHARACTERS_MAX),
  attempts: z.int().min(1),
  final: z.boolean(),
});
const schema = z.record(
  z.string().regex(modelNamePattern),
  z.strictObject({ fault: fault.nullable(), retried: z.int().min(0) }),
);

interface Entry {
  readonly fault: ReportedFault | null;
  readonly retried: number;
}

const nothing: Entry = { fault: null, retried: 0 };
// Above this number only the fact that there were many matters.
const ATTEMPTS_COUNTED_MAX = 1_000_000;

export class ModelFaults {
  readonly #path: string;
  readonly #entries: Map<string, Entry>;
  readonly #serial = new Serial();

  private constructor(path: string, entries: Map<string, Entry>) {
    this.#path = path;
    this.#entries = entries;
  }

  /** Keeps the faults of `names`. A file that is not ours counts as empty: a model is then tried once more than necessary. */
  static async open(path: string, names: readonly string[]): Promise<ModelFaults> {
    const bytes = await readIfThere(path);
    let known: Readonly<Record<string, Entry>> = {};
    try {
      if (bytes !== undefined) known = parseJson(bytes, schema, path);
    } catch {
      // As above.
    }
    return new ModelFaults(path, new Map(Object.entries(known).filter(([name]) => names.includes(name))));
  }

  of(name: string): ReportedFault | null {
    return this.#entry(name).fault;
  }

  /** The number of the newest order to try again that was followed. */
  retried(name: string): number {
    return this.#entry(name).retried;
  }

  /** Why this release is not tried. */
  standing(name: string, manifestDigest: string): ReportedFault | undefined {
    const { fault: known } = this.#entry(name);
    return known?.final === true && known.manifestDigest === manifestDigest ? known : undefined;
  }

  /** Counts a fault; durably, when it cost a key. `about` is undefined before a release was offered. */
  async note(
    name: string,
    about: Pick<VerifiedModel, 'version' | 'digestHex'> | undefined,
    { code, place, message }: ModelFault,
  ): Promise<ReportedFault> {
    const { fault: last, retried } = this.#entry(name);
    const version = about?.version ?? null;
    const manifestDigest = about?.digestHex ?? null;
    const isSame = last?.manifestDigest === manifestDigest && last.code === code && last.place === place;
    const attempts = isSame ? Math.min(last.attempts + 1, ATTEMPTS_COUNTED_MAX) : 1;
    const final = isFinal({ code, place }, attempts);
    const noted = { version, manifestDigest, code, place, message, attempts, final };
    this.#entries.set(name, { fault: noted, retried });
    if (costsKey(place)) await this.#write();
    return noted;
  }

  /** It got further than a fault that cost no key: that fault is over. */
  async passed(name: string): Promise<void> {
    const { fault: last } = this.#entry(name);
    if (last !== null && !costsKey(last.place)) await this.clear(name);
  }

  /** The model is held: it has no fault. */
  async clear(name: string): Promise<void> {
    const { fault: last, retried } = this.#entry(name);
    if (last === null) return;
    this.#entries.set(name, { fault: null, retried });
    if (costsKey(last.place)) await this.#write();
  }

  /** An operator's order to try again; false for one that was followed before. */
  async retry(name: string, number: number): Promise<boolean> {
    if (number <= this.#entry(name).retried) return false;
    this.#entries.set(name, { fault: null, retried: number });
    await this.#write();
    return true;
  }

  #entry(name: string): Entry {
    return this.#entries.get(name) ?? nothing;
  }

  #write(): Promise<void> {
    return this.#serial.run(() => replaceFile(this.#path, utf8(JSON.stringify(Object.fromEntries(this.#entries)))));
  }
}
