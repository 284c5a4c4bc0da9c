// A device is taken offline and carried away, with its disk, its TPM and every wrapped key it ever got: after the lease nobody opens the
// model with them. The attacker here has recorded the wrapped keys, which the agent itself never writes to disk.
import assert from 'node:assert/strict';
import { cp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, mock, test } from 'node:test';
import type { TpmWrappedKey } from '@edgekeep/core/access/wrapped-key';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { eventTypes } from '@edgekeep/core/attest/event-type';
import { toHex } from '@edgekeep/core/bytes';
import { clockSet } from '@edgekeep/core/tpm/commands/testing-clock';
import { TpmClient } from '@edgekeep/hardware/tpm/client';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { openTransport } from '@edgekeep/hardware/tpm/transport';
import { JobDevice } from './main-job/job-device.ts';
import { jobTest, JobWorld } from './main-job/job-world.ts';

const content = 'the weights that somebody would like to carry away';
const model = 'secret';
const leaseOver = { name: 'HardwareError', code: 'tpm-lease-over' };
const pcrs = { bank: 'sha256', pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14] } as const;

describe('a lease that the TPM ends', jobTest, () => {
  let world: JobWorld;
  let count = 0;
  const opening = mock.method(TpmRootOfTrust.prototype, 'openKey');

  before(async () => {
    world = await JobWorld.open();
    await world.publish({ path: await world.source('weights.bin', content), name: model, version: '1.0.0' });
  });
  after(() => world?.[Symbol.asyncDispose]());

  /** A device that held the model; agent and hub are gone, its lease has not ended. */
  async function carriedAway() {
    const device = await JobDevice.prepare(world, `press-${(count += 1)}`, [{ name: model, use: 'program' }]);
    await (await device.start()).next('ready');
    await device.stop();
    return { device, wrapped: newest() };
  }

  /** The last one that was opened in this process. */
  function newest(): TpmWrappedKey {
    const wrapped = opening.mock.calls.at(-1)?.arguments[0];
    assert.ok(wrapped?.kind === 'tpm-import' && wrapped.terms !== undefined, 'no key with terms was opened');
    return wrapped;
  }

  const address = ({ id }: JobDevice) => ({
    kind: 'unix' as const,
    path: join(world.simulators.folder, id, 'tpm.sock'),
  });

  async function open(device: JobDevice, wrapped: TpmWrappedKey): Promise<Uint8Array> {
    await using rootOfTrust = await TpmRootOfTrust.open(address(device));
    // As the agent opened it: a key is for its own lease only.
    const own = opening.mock.calls.find(
      ({ arguments: [key] }) => key.kind === 'tpm-import' && key.duplicate === wrapped.duplicate,
    );
    return await rootOfTrust.openKey(wrapped, own?.arguments[1]);
  }

  async function pcrValues(device: JobDevice): Promise<readonly string[]> {
    await using rootOfTrust = await TpmRootOfTrust.open(address(device));
    return [...(await rootOfTrust.readPcrs(pcrs)).values()].map(toHex);
  }

  test('on its disk are neither the model nor the wrapped key', async () => {
    const { device, wrapped } = await carriedAway();
    const files = await readdir(device.folder, { recursive: true, withFileTypes: true });
    const bytes = await Promise.all(
      files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name))),
    );
    assert.ok(bytes.length > 5);
    const disk = Buffer.concat(bytes);
    for (const text of [content.slice(0, 16), wrapped.duplicate, wrapped.authValue ?? '']) {
      assert.ok(!disk.includes(text));
      assert.ok(!disk.includes(Buffer.from(text, 'base64url')));
    }
  });

  test('the recorded key opens while the lease lasts, and no longer', async () => {
    const { device, wrapped } = await carriedAway();
    await world.hub.stop();
    try {
      assert.equal((await open(device, wrapped)).length, 32);
      {
        await using client = new TpmClient(await openTransport(address(device)));
        await client.execute(clockSet(BigInt(wrapped.terms?.clockMost ?? 0) + 1n), ['password']);
      }
      await assert.rejects(open(device, wrapped), { ...leaseOver, message: /clock/ });
    } finally {
      await world.hub.start();
    }
  });

  // SECURITY.md: DEV-27
  test('it does not open after a power cycle, though the lease is not over and the same was booted', async () => {
    const { device, wrapped } = await carriedAway();
    const before = await pcrValues(device);
    await (await world.simulators.start(device.id)).powerCycle();
    {
      // All measurements are known: an attacker with the TPM in hand can repeat them.
      await using rootOfTrust = await TpmRootOfTrust.open(address(device));
      const firmware = parseEventLog(await readFile(join(device.folder, 'firmware.log')));
      for (const { eventType, pcr, digests } of firmware.events) {
        const digest = digests.sha256;
        if (eventType !== eventTypes.noAction && digest !== undefined) await rootOfTrust.extend(pcr, digest);
      }
      const { measurement } = await world.signStage(join(world.folder, 'again'));
      await rootOfTrust.extend(measurement.pcr, measurement.digest);
    }
    assert.deepEqual(await pcrValues(device), before);
    await assert.rejects(open(device, wrapped), { ...leaseOver, message: /reset/ });
  });

  test('it does not open with the whole disk in another device', async () => {
    const { device, wrapped } = await carriedAway();
    const other = await JobDevice.prepare(world, `press-${(count += 1)}`);
    await cp(device.stateFolder, join(other.folder, 'copied'), { recursive: true });
    await assert.rejects(open(other, wrapped), { name: 'HardwareError', code: 'tpm-blob-refused' });
  });

  test('it does not open once the hub has cut the device off, long before the end', async () => {
    const device = await JobDevice.prepare(world, `press-${(count += 1)}`, [{ name: model, use: 'program' }]);
    const story = await device.start();
    await story.next('ready');
    await world.hub.setState(device.id, 'quarantine');
    await story.next('locked');
    await device.stop();
    await assert.rejects(open(device, newest()), { ...leaseOver, message: /incremented/ });
  });

  test('the key of an earlier version does not open once a later one was served', async () => {
    const path = await world.source('weights.bin', content);
    await world.publish({ path, name: 'versioned', version: '1.0.0' });
    const device = await JobDevice.prepare(world, `press-${(count += 1)}`, [{ name: 'versioned', use: 'program' }]);
    const story = await device.start();
    await story.next('ready');
    const earlier = newest();
    await world.publish({ path, name: 'versioned', version: '1.1.0' });
    assert.equal((await story.next('ready')).version, '1.1.0');
    await device.stop();
    assert.notDeepEqual(newest(), earlier);
    await assert.rejects(open(device, earlier), { ...leaseOver, message: /incremented/ });
  });

  test('an agent that is started again within the lease gets the next key and goes on', async () => {
    const { device, wrapped } = await carriedAway();
    await (await device.start()).next('ready');
    assert.notDeepEqual(newest(), wrapped);
  });
});
