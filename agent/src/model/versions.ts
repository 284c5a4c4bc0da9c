// The highest version of each model that this device has served, stored so that neither a hub nor an attacker in between can bring back an
// old release with a known weakness. A record that is lost is made again from what the hub remembers (../state-recovery.ts); until then no
// release is new enough.
import { utf8 } from '@edgekeep/core/bytes';
import { parseJson } from '@edgekeep/core/json';
import { modelNamePattern, modelVersionPattern } from '@edgekeep/core/model/manifest';
import { Serial } from '@edgekeep/host/serial';
import { replaceBoth } from '@edgekeep/host/two-copies';
import { z } from 'zod';
import { AgentError } from '../error.ts';
import { KeptState } from '../kept-state.ts';
import { compareVersions } from '@edgekeep/core/model/version-order';

const schema = z.record(z.string().regex(modelNamePattern), z.string().max(128).regex(modelVersionPattern));

export class HighestVersions {
  readonly #path: string;
  readonly #versions: Map<string, string>;
  #isLost: boolean;
  readonly #serial = new Serial();

  private constructor(path: string, versions: Map<string, string>, isLost: boolean) {
    this.#path = path;
    this.#versions = versions;
    this.#isLost = isLost;
  }

  static async open(path: string, kept: KeptState = new KeptState()): Promise<HighestVersions> {
    const parse = (bytes: Uint8Array) => new Map(Object.entries(parseJson(bytes, schema, path)));
    const known = await kept.read('versions', path, { parse, isNewer });
    return new HighestVersions(path, known ?? new Map(), kept.isLost('versions'));
  }

  /** A device that enrolls has a record from then on, so that one that is missing later was lost. */
  async begin(): Promise<void> {
    await this.#write();
  }

  /** Nothing is new enough until `recover` was called. */
  lose(): void {
    this.#isLost = true;
  }

  /** Goes on from what the hub remembers, and from what is known here; durably. */
  async recover(remembered: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, version] of Object.entries(remembered)) {
      const highest = this.#versions.get(name);
      if (highest === undefined || compareVersions(version, highest) > 0) this.#versions.set(name, version);
    }
    await this.#write();
    this.#isLost = false;
  }

  /** How many models have a version. */
  get count(): number {
    return this.#versions.size;
  }

  /** Throws `model-rollback` when a higher version of this model was served before, and `state-lost` while nobody knows. */
  assertNoRollback(name: string, version: string): void {
    if (this.#isLost)
      throw new AgentError('state-lost', `${this.#path} is lost: the hub has not said yet which versions were served`);
    const highest = this.#versions.get(name);
    if (highest === undefined || compareVersions(version, highest) >= 0) return;
    throw new AgentError('model-rollback', `${name} ${version} is older than ${highest}, which this device has served`);
  }

  /** Stores the version durably, before it is served. True when it replaces an earlier one. */
  async remember(name: string, version: string): Promise<boolean> {
    this.assertNoRollback(name, version);
    const last = this.#versions.get(name);
    if (last === version) return false;
    this.#versions.set(name, version);
    await this.#write();
    return last !== undefined;
  }

  #write(): Promise<void> {
    return this.#serial.run(() => replaceBoth(this.#path, utf8(JSON.stringify(Object.fromEntries(this.#versions)))));
  }
}

// Versions only grow.
function isNewer(copy: ReadonlyMap<string, string>, file: ReadonlyMap<string, string>): boolean {
  return [...copy].some(([name, version]) => {
    const other = file.get(name);
    return other === undefined || compareVersions(version, other) > 0;
  });
}
