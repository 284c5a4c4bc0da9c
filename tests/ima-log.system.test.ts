// A device whose IMA log is longer than evidence carries stays a member: only the new part is sent and appraised (spec/evidence.md, "A long
// IMA log"). The agent's own code, a TPM simulator, a real hub.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Prover } from '@edgekeep/agent/attest/attest';
import { attest } from '@edgekeep/agent/hub/attestation';
import { type Challenge, HubLink } from '@edgekeep/agent/hub/connection';
import { postToHub } from '@edgekeep/agent/hub-api';
import { HubTime } from '@edgekeep/agent/hub/hub-time';
import { enroll, type HubChannel, type IdentityDependencies, recover, renew } from '@edgekeep/agent/hub/identity';
import { type Evidence, evidenceDocument } from '@edgekeep/core/attest/evidence';
import { imaPolicyFromLogs } from '@edgekeep/core/attest/ima-policy-sources';
import { IMA_EVIDENCE_BYTES_MAX, parseImaLog } from '@edgekeep/core/attest/ima-log';
import { imaEntry, imaNgLog } from '@edgekeep/core/attest/testing-ima';
import { concat, utf8 } from '@edgekeep/core/bytes';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { alertList } from '@edgekeep/wire/api/alert';
import { attestResponse } from '@edgekeep/wire/api/attest';
import { HubConnection } from '@edgekeep/wire/link/hub-connection';
import { healthyBoot, logOf, measure } from './support/boot.ts';
import { TestDevice, testOrigin } from './support/test-device.ts';
import { skipWithoutTpm, TpmWorld } from './support/tpm-world.ts';

/** Buffers of 200 KiB make a long log with few extensions of the PCR. */
const buffers = 24;
const long = concat(
  ...Array.from({ length: buffers }, (_, at) =>
    imaEntry('ima-buf', [utf8('sha256:\0digest'), utf8(`buffer-${at}\0`), new Uint8Array(200 * 1024).fill(at)]),
  ),
);

describe('a device with a long IMA log', { skip: skipWithoutTpm }, () => {
  let fleet: TpmWorld;
  let rootOfTrust: TpmRootOfTrust;
  let dependencies: IdentityDependencies;
  let file = '';

  before(async () => {
    // Enough bytes per second that no piece waits.
    const admission = { maxAnonymousBytesPerSecond: 100_000_000, maxBytesPerSecond: 100_000_000 };
    fleet = await TpmWorld.open({ pcrs: [0, 2, 4, 7, 8, 9, 10], admission });
    const { world } = fleet;
    rootOfTrust = await TpmRootOfTrust.open((await fleet.simulator('long')).address);
    await measure(rootOfTrust, healthyBoot);
    file = join(world.folder, 'binary_runtime_measurements');
    await writeFile(file, '');
    const prover = new Prover({ rootOfTrust, eventLog: () => logOf(healthyBoot), imaLogFile: file });
    const clocks = { clock: world.clock.now, elapsed: world.clock.now };
    dependencies = { deviceId: 'long', hub: testOrigin, rootOfTrust, prover, clocks, hubTime: new HubTime(clocks) };
  });
  after(async () => {
    await rootOfTrust?.[Symbol.asyncDispose]();
    await fleet?.[Symbol.asyncDispose]();
  });

  /** As the kernel does: the entry is in the log, and its digest in PCR 10. */
  async function grow(entries: Uint8Array): Promise<void> {
    await appendFile(file, entries);
    for (const { templateData } of parseImaLog(entries)) {
      await rootOfTrust.extend(10, createHash('sha256').update(templateData).digest());
    }
  }

  async function once<T>(act: (channel: HubChannel) => Promise<T>): Promise<T> {
    const { deviceAddress, rootPem } = fleet.world.hub;
    const where = { ...deviceAddress, serverName: 'localhost', authoritiesPem: [rootPem] };
    await using connection = await HubConnection.open(where);
    return await act({ send: (input) => connection.request(input), exporter: connection.binding });
  }

  async function connected(): Promise<HubLink> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { deviceAddress, rootPem } = fleet.world.hub;
    const link = new HubLink({
      hub: { ...deviceAddress, serverName: 'localhost' },
      authorities: () => [rootPem],
      generalAuthority: () => 'accepted',
      prover: dependencies.prover,
      acquire: (channel) => recover(channel, dependencies),
      renew: (channel) => renew(channel, dependencies),
      onConnected: () => resolve(),
      onRenewed: () => {},
      onDisconnected: () => {},
      onRefused: (step, refusal) => reject(new Error(`${step}: ${refusal.message} ${JSON.stringify(refusal.reasons)}`)),
      onFailed: (error) => reject(error),
      backoff: { firstDelayMs: 10, maxDelayMs: 100 },
      clocks: dependencies.clocks,
      hubTime: dependencies.hubTime,
      random: () => 0,
    });
    try {
      await promise;
      return link;
    } catch (error) {
      await link[Symbol.asyncDispose]();
      throw error;
    }
  }

  async function attestWith(link: HubLink, change: (evidence: Evidence) => Evidence = (evidence) => evidence) {
    let sent: Evidence | undefined;
    const answer = await link.withChallenge(async ({ nonce, exporter, pcrs, send, known }: Challenge) => {
      sent = change(await dependencies.prover.evidence('release', nonce, exporter, pcrs, { send, known }));
      return postToHub(send, '/v1/attest', { evidence: evidenceDocument(sent) }, attestResponse);
    });
    assert.ok(sent?.kind === 'tpm');
    return { answer, from: sent.imaLogFrom ?? 0, bytes: sent.imaLog?.length ?? -1 };
  }

  test('enrolls with a log longer than evidence carries, and is appraised on', async () => {
    assert.ok(long.length > IMA_EVIDENCE_BYTES_MAX);
    await grow(long);
    const { world } = fleet;
    const token = await world.enrollmentToken({ deviceId: 'long' });
    const { witnessKey } = await TestDevice.withoutTpm('long', join(world.folder, 'witness-of-long'));
    const answer = await once((channel) => enroll(channel, dependencies, { token, witnessKey }));
    assert.equal(answer.kind, 'ok', JSON.stringify(answer));

    await using link = await connected();
    const first = await attestWith(link);
    assert.equal(first.answer.kind, 'ok');
    assert.deepEqual([first.from, first.bytes], [buffers, 0]);
  });

  test('sends only what is new, however long the log is, and what came after the quote does no harm', async () => {
    await using link = await connected();
    await grow(imaNgLog(3));
    const second = await attestWith(link);
    assert.deepEqual([second.from, second.bytes], [buffers, imaNgLog(3).length]);
    // A file that is measured between quote and log: it is in the log but not in the quote.
    const late = imaNgLog(1, 3);
    await appendFile(file, late);
    const third = await attestWith(link);
    assert.ok(third.answer.kind === 'ok');
    assert.equal(third.answer.value.state, 'active');
    assert.deepEqual([third.from, third.bytes], [buffers + 3, late.length]);
    const [entry] = parseImaLog(late);
    assert.ok(entry !== undefined);
    await rootOfTrust.extend(10, createHash('sha256').update(entry.templateData).digest());
    const { attestationKeys: keys } = await fleet.world.trust();
    const { prover, clocks } = dependencies;
    const result = await attest({ deviceId: 'long', link, prover, keys, clock: clocks.clock });
    assert.ok(result.kind === 'ok');
    assert.equal(result.value.result.status, 'affirming');
  });

  test('is appraised on after the hub was started again, and recovers after its own restart', async () => {
    await fleet.world.restart();
    await using link = await connected();
    const { answer, from } = await attestWith(link);
    assert.equal(answer.kind, 'ok');
    assert.equal(from, buffers + 4);
  });

  test('a place in the log that the hub did not replay to is refused by name, and changes nothing', async () => {
    await using link = await connected();
    const { answer } = await attestWith(link, (evidence) => ({ ...evidence, imaLogFrom: 7 }));
    assert.ok(answer.kind === 'refused');
    assert.equal(answer.code, 'ima-log-start-unknown');
    assert.equal((await attestWith(link)).answer.kind, 'ok');
  });

  test('a log from which an entry was taken is not what was measured', async () => {
    await using link = await connected();
    await grow(imaNgLog(2, 10));
    const only = imaNgLog(1, 11);
    const { answer } = await attestWith(link, (evidence) => ({ ...evidence, imaLog: only }));
    assert.ok(answer.kind === 'ok');
    assert.equal(answer.value.state, 'suspect');
    const healed = await attestWith(link);
    assert.ok(healed.answer.kind === 'ok');
    assert.equal(healed.answer.value.state, 'active');
  });

  test('a device that only ever binds its connections learns how far its log is known, and sends what is new', async (t) => {
    const evidence = t.mock.method(dependencies.prover, 'evidence');
    await (await connected())[Symbol.asyncDispose]();
    for (const added of [0, 2, 1]) {
      await grow(imaNgLog(added, 50));
      await using _ = await connected();
      const sent = await evidence.mock.calls.at(-1)?.result;
      assert.ok(sent?.kind === 'tpm');
      assert.equal(sent.imaLog?.length, imaNgLog(added, 50).length, `${added} entries`);
    }
  });

  // The buffers of this log have no whole digests.
  const policyOf = async (version: string) => ({
    ...imaPolicyFromLogs([parseImaLog(await readFile(file))], { name: 'runtime', version }).policy,
    ignoredBuffers: ['*'],
  });

  /** After a policy changed, the first attempt is refused: the device sends its log from the beginning. */
  const connectedAnew = () =>
    connected().catch((error: unknown) => {
      assert.match(String(error), /are not known here: send it from its beginning/);
      return connected();
    });

  async function verdict(link: HubLink) {
    const { attestationKeys: keys } = await fleet.world.trust();
    const { prover, clocks } = dependencies;
    const result = await attest({ deviceId: 'long', link, prover, keys, clock: clocks.clock });
    assert.ok(result.kind === 'ok', JSON.stringify(result));
    return result.value.result;
  }

  // SECURITY.md: DEV-79
  test('with a policy that lists its files its runtime is affirmed; the log is read from its beginning once, then only what is new', async () => {
    await fleet.world.publishImaPolicy(await policyOf('1.0.0'));
    await using link = await connectedAnew();
    const { status, vector } = await verdict(link);
    assert.deepEqual([status, vector.executables], ['affirming', 2]);
    const again = await attestWith(link);
    assert.equal(again.bytes, 0);
  });

  // SECURITY.md: DEV-79
  test('a program that no policy accepts is named, and stays refused after it has ended, until it is accepted', async () => {
    await using link = await connected();
    await grow(imaEntry('ima-ng', [utf8('sha256:\0evil'), utf8('/tmp/evil\0')]));
    const refused = await verdict(link);
    assert.equal(refused.status, 'contraindicated');
    assert.match(
      refused.reasons[0]?.message ?? '',
      /IMA policy runtime 1\.0\.0: IMA entry \d+, "\/tmp\/evil": it is not listed/,
    );
    assert.equal((await fleet.world.device('long')).state, 'suspect');
    const shown = async (wanted: string) =>
      (await fleet.world.operator.get(`/v1/alerts?kind=ima-policy-refused&state=${wanted}`, alertList)).alerts.map(
        ({ severity, state, subject }) => `${severity} ${state} ${subject}`,
      );
    assert.deepEqual(await shown('open'), ['high open device:long']);
    const metrics = Buffer.from(await fleet.world.operator.getBytes('/metrics')).toString();
    assert.match(metrics, /edgekeep_ima_policies 1/);
    assert.match(metrics, /edgekeep_devices_ima_refused 1/);
    await grow(imaNgLog(1));
    const { answer, from } = await attestWith(link);
    assert.ok(answer.kind === 'ok' && from > 0);
    assert.equal(answer.value.state, 'suspect');
    await fleet.world.restart();
    await using later = await connected();
    assert.equal((await verdict(later)).status, 'contraindicated');
    const next = await policyOf('1.1.0');
    const listed = { ...next, excludes: ['/tmp/evil'] };
    await fleet.world.publishImaPolicy(listed);
    await using healed = await connectedAnew();
    assert.equal((await verdict(healed)).vector.executables, 2);
    assert.equal((await fleet.world.device('long')).state, 'active');
    assert.deepEqual(await shown('closed'), ['high closed device:long']);
  });
});
