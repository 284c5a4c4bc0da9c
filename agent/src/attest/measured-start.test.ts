import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { pcrValue, replayEventLog } from '@edgekeep/core/attest/replay';
import { signerFromKey } from '@edgekeep/core/signer';
import { BootLog } from '@edgekeep/hardware/boot/boot-log';
import { SoftwareRootOfTrust } from '@edgekeep/hardware/software/software-root-of-trust';
import { signModelFiles } from '@edgekeep/wire/file/model-signing';
import type { AgentEvent } from '../event.ts';
import { measureStages, type StartVerdict } from './measured-start.ts';

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const stranger = createPublicKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);

class Device {
  readonly folder: string;
  readonly #rootOfTrust: SoftwareRootOfTrust;
  readonly events: AgentEvent[] = [];

  private constructor(folder: string, rootOfTrust: SoftwareRootOfTrust) {
    this.folder = folder;
    this.#rootOfTrust = rootOfTrust;
  }

  static async make(): Promise<Device> {
    const folder = await mkdtemp(join(tmpdir(), 'edgekeep-stages-'));
    const rootOfTrust = await SoftwareRootOfTrust.open({ stateFolder: join(folder, 'root'), bootId: 'boot-1' });
    const device = new Device(folder, rootOfTrust);
    for (const name of ['loader', 'guard']) await device.install(name, `code of ${name}`);
    return device;
  }

  /** A stage as its publisher delivers it. */
  async install(name: string, code: string): Promise<void> {
    await mkdir(join(this.folder, name), { recursive: true });
    await this.write(name, code);
    const bundle = await signModelFiles(join(this.folder, name), { signer: signerFromKey(key), ignorePaths: [] });
    await writeFile(join(this.folder, `${name}.sig`), bundle);
  }

  write(name: string, code: string): Promise<void> {
    return writeFile(join(this.folder, name, 'code'), code);
  }

  openLog(): Promise<BootLog> {
    return BootLog.open({ folder: join(this.folder, 'boot'), bootId: 'boot-1', rootOfTrust: this.#rootOfTrust });
  }

  /** A start of the agent within this boot. */
  async start(keys = [createPublicKey(key)]): Promise<{ verdict: StartVerdict; measured: readonly string[] }> {
    const stages = ['loader', 'guard'].map((name) => {
      return { name, folder: join(this.folder, name), signature: join(this.folder, `${name}.sig`) };
    });
    const log = await this.openLog();
    const verdict = await measureStages(log, { pcr: 14, stages, keys }, (event) => this.events.push(event));
    const { events } = replayEventLog(parseEventLog(log.bytes), 'sha256');
    return { verdict, measured: events.map(({ event }) => Buffer.from(event).toString()) };
  }

  extend(digest: Uint8Array): Promise<void> {
    return this.#rootOfTrust.extend(14, digest);
  }

  async pcr(): Promise<Uint8Array | undefined> {
    return (await this.#rootOfTrust.readPcrs({ bank: 'sha256', pcrs: [14] })).get(14);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

function refusal(verdict: StartVerdict): string {
  return verdict.kind === 'recovery' ? `${verdict.error.code} ${verdict.error.message}` : verdict.kind;
}

test('stages are measured in order, and log and PCR agree', async () => {
  await using device = await Device.make();
  const { verdict, measured } = await device.start();
  assert.equal(verdict.kind, 'complete');
  assert.deepEqual(measured, ['stage loader', 'stage guard']);
  const log = await device.openLog();
  const replayed = pcrValue(replayEventLog(parseEventLog(log.bytes), 'sha256'), 14);
  assert.deepEqual(Buffer.from(replayed), Buffer.from((await device.pcr()) ?? []));
});

test('an agent that starts again in the same boot measures nothing twice', async () => {
  await using device = await Device.make();
  await device.start();
  const before = await device.pcr();
  assert.deepEqual((await device.start()).measured, ['stage loader', 'stage guard']);
  assert.deepEqual(await device.pcr(), before);
});

test('a stage that was replaced within the boot is measured again', async () => {
  await using device = await Device.make();
  await device.start();
  await device.install('guard', 'newer code');
  const { verdict, measured } = await device.start();
  assert.deepEqual([verdict.kind, measured], ['complete', ['stage loader', 'stage guard', 'stage guard']]);
});

// SECURITY.md: DEV-21
test('a stage with a changed file is not measured, nor is any behind it', async () => {
  await using device = await Device.make();
  await device.write('loader', 'code of somebody else');
  const { verdict, measured } = await device.start();
  assert.match(refusal(verdict), /^stage-refused stage loader does not verify.*code/);
  assert.deepEqual(measured, []);
});

test('a file that nobody signed is refused', async () => {
  await using device = await Device.make();
  await writeFile(join(device.folder, 'guard', 'extra'), 'more');
  const { verdict, measured } = await device.start();
  assert.match(refusal(verdict), /^stage-refused .*extra/);
  assert.deepEqual(measured, ['stage loader']);
});

test('a stage of another signer, a missing bundle and a broken bundle are refused', async () => {
  await using device = await Device.make();
  assert.match(refusal((await device.start([stranger])).verdict), /^stage-refused/);
  await writeFile(join(device.folder, 'loader.sig'), '{');
  assert.match(refusal((await device.start()).verdict), /^stage-refused/);
  await rm(join(device.folder, 'loader.sig'));
  assert.match(refusal((await device.start()).verdict), /^stage-refused/);
});

test('a PCR that the log does not explain ends the start with a name of its own', async () => {
  await using device = await Device.make();
  await device.start();
  await device.extend(Buffer.alloc(32, 1));
  assert.match(refusal((await device.start()).verdict), /^measured-start-inconsistent PCR 14/);
});
