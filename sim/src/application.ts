// The last two stages of a demo device's start, signed by the publisher: the agent's and the guard's code of this checkout. Each start
// signs them again; the signed statement, and so the measurement, changes only with the code.
import { makeFolder } from '@edgekeep/host/make-folder';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventTypes } from '@edgekeep/core/attest/event-type';
import { toHex, utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { parseBundle } from '@edgekeep/core/model/signature/bundle';
import type { Signer } from '@edgekeep/core/signer';
import type { Measurement } from '@edgekeep/hardware/boot/boot-log';
import { signModelFiles } from '@edgekeep/wire/file/model-signing';

/** The PCR the agent measures its stages into (its default setting). */
const agentPcr = 14;

export interface Application {
  readonly stages: readonly {
    readonly name: string;
    readonly folder: string;
    readonly signature: string;
    readonly measurement: Measurement;
  }[];
  /** Depends on the code: eight hex digits. */
  readonly build: string;
}

export async function signApplication(folder: string, signer: Signer): Promise<Application> {
  await makeFolder(folder);
  const stages = [];
  for (const name of ['agent', 'guard']) {
    const code = dirname(fileURLToPath(import.meta.resolve(`@edgekeep/${name}/main`)));
    const bundle = await signModelFiles(code, { signer, ignorePaths: [] });
    const signature = join(folder, `${name}.sigstore.json`);
    await writeFile(signature, bundle);
    const parsed = parseBundle(bundle);
    if (parsed.kind === 'refused') throw new CoreError('signature-bundle-invalid', 'our own bundle does not parse');
    const digest = createHash('sha256').update(parsed.bundle.envelope.payload).digest();
    stages.push({
      name,
      folder: code,
      signature,
      measurement: { pcr: agentPcr, eventType: eventTypes.ipl, digest, event: utf8(`stage ${name}`) },
    });
  }
  const all = createHash('sha256');
  for (const { measurement } of stages) all.update(measurement.digest);
  return { stages, build: toHex(all.digest()).slice(0, 8) };
}
