// The PCR of the agent's stages, with a real agent and a TPM simulator through four boots: shared with shim, named by reference values,
// alone, and taken by another program.
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseEventLog, type EventToEncode } from '@edgekeep/core/attest/event-log';
import { eventTypes } from '@edgekeep/core/attest/event-type';
import { referenceValuesFromBoots } from '@edgekeep/core/attest/golden-boots';
import { utf8 } from '@edgekeep/core/bytes';
import type { TpmSimulator } from '@edgekeep/hardware/tpm/simulator';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { signModelFiles } from '@edgekeep/wire/file/model-signing';
import { healthyBoot, logOf, measure, stage } from './support/boot.ts';
import { type Story, TestAgent } from './support/test-agent.ts';
import { skipWithoutTpm as skip, TpmWorld } from './support/tpm-world.ts';

const pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15];
const compared = [0, 2, 4, 7, 8, 9, 14];
/** As shim measures it: the text is the variable's name. */
const mokList: EventToEncode = {
  ...stage(14, eventTypes.ipl, 'MokList', 'keys that the owner of the machine trusts'),
  event: utf8('MokList\0'),
};
const boot = [...healthyBoot, mokList];

class Machine {
  readonly #fleet: TpmWorld;
  readonly #simulator: TpmSimulator;
  readonly #agent: TestAgent;
  #bootId = '';

  private constructor(fleet: TpmWorld, simulator: TpmSimulator, agent: TestAgent) {
    this.#fleet = fleet;
    this.#simulator = simulator;
    this.#agent = agent;
  }

  static async make(fleet: TpmWorld): Promise<Machine> {
    const { world } = fleet;
    const simulator = await fleet.simulator('press');
    const folder = join(world.folder, 'application');
    await mkdir(folder);
    await writeFile(join(folder, 'code'), 'code of the application');
    const signature = `${folder}.sig`;
    await writeFile(signature, await signModelFiles(folder, { signer: world.publisher, ignorePaths: [] }));
    const firmwareLogFile = join(world.folder, 'firmware.log');
    await writeFile(firmwareLogFile, logOf(boot));
    const stages = [{ name: 'application', folder, signature }];
    const measuredStart = { keyFiles: ['publisher.pem'], stages, firmwareLogFile };
    const rootOfTrust = { kind: 'tpm' as const, address: `unix:${simulator.socketPath}` };
    const machine = new Machine(
      fleet,
      simulator,
      await TestAgent.prepare(world, 'press', { rootOfTrust, measuredStart }, 'tpm'),
    );
    await machine.#measure(boot);
    return machine;
  }

  async #measure(events: readonly EventToEncode[]): Promise<void> {
    await using rootOfTrust = await TpmRootOfTrust.open(this.#simulator.address);
    await measure(rootOfTrust, events);
    this.#bootId = crypto.randomUUID();
  }

  /** `foreign` is measured by another program, without an entry in the log. */
  async reboot(foreign: readonly EventToEncode[] = []): Promise<void> {
    await this.#agent.stop();
    await this.#simulator.powerCycle();
    await this.#measure([...boot, ...foreign]);
  }

  async start(): Promise<Story> {
    await this.#agent.stop();
    return this.#agent.start({ bootId: this.#bootId });
  }

  log(): Promise<Uint8Array> {
    return readFile(join(this.#agent.stateFolder, 'boot', `${this.#bootId}.eventlog`));
  }

  async publish(version: string, stagePcr?: number): Promise<void> {
    const order = { name: 'line', version, pcrs: compared, ...(stagePcr === undefined ? {} : { stagePcr }) };
    const { values } = referenceValuesFromBoots([parseEventLog(await this.log())], order);
    await this.#fleet.world.publishReferenceValues(values);
  }

  /** Where the stages are in the log of this boot. */
  async stages(): Promise<readonly number[]> {
    const { events } = parseEventLog(await this.log());
    return events.filter(({ event }) => Buffer.from(event).toString() === 'stage application').map(({ pcr }) => pcr);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent[Symbol.asyncDispose]();
  }
}

/** The first attestation of this kind, or the reasons of another. */
async function attested(story: Story): Promise<string> {
  const { status, reasons } = await story.next('attested');
  return [status, ...reasons.map(({ code }) => code)].join(' ');
}

// SECURITY.md: DEV-69
test(
  'stages leave the PCR of shim when reference values name 15, at the next boot and without a refusal',
  { skip },
  async () => {
    await using fleet = await TpmWorld.open({ pcrs, attestation: { coveredPcrs: [14] } });
    await using machine = await Machine.make(fleet);
    const first = await machine.start();
    const shared = await first.next('stage-pcr-shared');
    assert.match(shared.others.join(), /^MokList of shim/);
    await first.next('connected');
    await machine.publish('1.0.0');
    assert.equal(await attested(await machine.start()), 'affirming');
    assert.deepEqual(await machine.stages(), [14]);

    // The same machine, with the stages elsewhere: published while every device still has them in 14.
    await machine.publish('1.0.1', 15);
    const told = await machine.start();
    assert.equal((await told.next('stage-pcr-learned')).pcr, 15);
    assert.equal(await attested(told), 'affirming');
    assert.deepEqual(await machine.stages(), [14]);

    await machine.reboot();
    assert.equal(await attested(await machine.start()), 'affirming');
    assert.deepEqual(await machine.stages(), [15]);

    await machine.reboot([stage(15, eventTypes.ipl, 'machine id', 'of this machine alone')]);
    const taken = await machine.start();
    const { why } = await taken.next('recovery');
    assert.match(why, /PCR 15 was extended by a program that wrote nothing into the boot log/);
    await taken.next('connected');
    const { appraisal } = await fleet.world.device('press');
    assert.equal(appraisal?.status, 'contraindicated');
  },
);
