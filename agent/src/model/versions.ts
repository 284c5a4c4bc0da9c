// The highest version of each model that this device has served, stored so that neither a hub nor an attacker in between can bring back an
// old release with a known weakness.
import { utf8 } from '@edgekeep/core/bytes';
import { parseJson } from '@edgekeep/core/json';
import { modelNamePattern, modelVersionPattern } from '@edgekeep/core/model/manifest';
import { replaceFile } from '@edgekeep/host/durable-file';
import { Serial } from '@edgekeep/host/serial';
import { z } from 'zod';
import { AgentError } from '../error.ts';
import { readIfThere } from '../state-folder.ts';
import { compareVersions } from '@edgekeep/core/model/version-order';

const schema = z.record(z.string().regex(modelNamePattern), z.string().max(128).regex(modelVersionPattern));

export class HighestVersions {
  readonly #path: string;
  readonly #versions: Map<string, string>;
  readonly #serial = new Serial();

  private constructor(path: string, versions: Map<string, string>) {
    this.#path = path;
    this.#versions = versions;
  }

  /** Throws `state-invalid` for a file that is not ours: an attacker would want the device to forget. */
  static async open(path: string): Promise<HighestVersions> {
    const bytes = await readIfThere(path);
    try {
      const known = bytes === undefined ? {} : parseJson(bytes, schema, path);
      return new HighestVersions(path, new Map(Object.entries(known)));
    } catch (cause) {
      throw new AgentError('state-invalid', `${path}: not the record of model versions`, { cause });
    }
  }

  /** Throws `model-rollback` when a higher version of this model was served before. */
  assertNoRollback(name: string, version: string): void {
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
    await this.#serial.run(() => replaceFile(this.#path, utf8(JSON.stringify(Object.fromEntries(this.#versions)))));
    return last !== undefined;
  }
}
