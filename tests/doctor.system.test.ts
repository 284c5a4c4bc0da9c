// The doctor judges a TPM by the same check as enrollment, and the kit contains the certificates that the hub trusts.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { examineEndorsement } from '@edgekeep/cli/doctor/endorsement';
import { parsePem, encodePem } from '@edgekeep/core/identity/pem';
import { parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { testRoot } from '@edgekeep/core/identity/testing-roots';
import { parsePublic } from '@edgekeep/core/tpm/public-area';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { vendorRootList, vendorRootRemoved } from '@edgekeep/wire/api/vendor-root';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import { z } from 'zod';
import { accepted, assertRefused } from './support/answer.ts';
import { healthyBoot } from './support/boot.ts';
import { TestDevice } from './support/test-device.ts';
import { skipWithoutTpm, TpmWorld } from './support/tpm-world.ts';
import { adoptStore } from './support/edited-store.ts';
import { inStore } from './support/outside-store.ts';

const run = promisify(execFile);
const program = join(import.meta.dirname, '../cli/src/main.ts');
const report = z.object({
  findings: z.array(z.object({ subject: z.string(), state: z.string(), found: z.string() })),
});

let opened: TpmWorld | undefined;
const worldOf = () => {
  if (opened === undefined) throw new TypeError('no world');
  return opened;
};
before(async () => {
  if (skipWithoutTpm === false) opened = await TpmWorld.open();
});
after(async () => {
  await opened?.[Symbol.asyncDispose]();
});

async function doctor(...words: readonly string[]) {
  const { stdout } = await run(process.execPath, [program, 'doctor', '--json', ...words]);
  return report.parse(JSON.parse(stdout)).findings;
}

test(
  'without roots an EK certificate is not called ok; with the roots the hub has, its maker, path and end are shown',
  {
    skip: skipWithoutTpm,
  },
  async () => {
    const { simulators, world, vendor } = worldOf();
    const simulator = await simulators.start('doctor');
    const tpm = `unix:${simulator.socketPath}`;
    const of = async (...words: readonly string[]) =>
      (await doctor('--tpm', tpm, ...words)).find(({ subject }) => subject === 'EK certificate');
    const unjudged = await of();
    assert.equal(unjudged?.state, 'warning');
    assert.match(unjudged.found, /not judged, no roots given/);

    const roots = join(world.folder, 'makers.pem');
    await writeFile(roots, vendor.root + vendor.intermediate);
    const judged = await of('--vendor-roots', roots);
    assert.equal(judged?.state, 'ok', JSON.stringify(judged));
    assert.match(
      judged.found,
      /path .* < "CN=swtpm-localca.*" < "CN=swtpm-localca-rootca.*"; (?:until|without an end date)/,
    );

    const asked = await of('--operator', world.operatorFile);
    assert.equal(asked?.state, 'ok', JSON.stringify(asked));

    const foreign = join(world.folder, 'foreign.pem');
    const now = Math.floor(Date.now() / 1_000);
    const other = await testRoot({ notBeforeSeconds: now - 60, notAfterSeconds: now + 3_600 });
    await writeFile(foreign, encodePem('CERTIFICATE', other.certificate.der));
    const refused = await of('--vendor-roots', foreign);
    assert.equal(refused?.state, 'warning');
    assert.match(refused.found, /the hub will refuse it: no issuer found/);
  },
);

test('the kit brings what the hub believes, and says how much that is', { skip: skipWithoutTpm }, async () => {
  const { simulators, world } = worldOf();
  const kit = join(world.folder, 'kit');
  const words = ['enroll', 'kit', 'press-9', '--out', kit, '--operator', world.operatorFile];
  const { stdout } = await run(process.execPath, [program, ...words]);
  assert.match(stdout, /the hub has 1 root and 1 intermediate of TPM makers/);
  const simulator = await simulators.start('kit');
  const judged = ['--tpm', `unix:${simulator.socketPath}`, '--vendor-roots', join(kit, 'vendor-roots.json')];
  const findings = await doctor(...judged);
  assert.equal(findings.find(({ subject }) => subject === 'EK certificate')?.state, 'ok');
  assert.match(await readFile(join(kit, 'agent.json'), 'utf8'), /press-9/);
});

test(
  'what the doctor says of an ended CA is what enrollment says, and judged at issuance both take it with a note',
  {
    skip: skipWithoutTpm,
  },
  async () => {
    const { simulators, vendor } = worldOf();
    await using device = await TpmRootOfTrust.open({
      kind: 'unix',
      path: (await simulators.start('ended')).socketPath,
    });
    const described = await device.describe();
    const parse = (pem: string) => parsePem(pem, 'CERTIFICATE').map((der) => parseForeignCertificate(der));
    const trust = { anchors: parse(vendor.root), intermediates: parse(vendor.intermediate) };
    const [intermediate] = trust.intermediates;
    const leaf = parseForeignCertificate(described.endorsementKey.certificate ?? new Uint8Array(0));
    assert.ok(intermediate !== undefined);
    // After the end of the first of the two; if both have no end, there is nothing to judge.
    const later = intermediate.notAfterSeconds + 1;
    const now = examineEndorsement(described, { ...trust, judgedAt: 'now' }, later);
    assert.equal(now.state, 'warning');
    assert.match(now.found, /the hub will refuse it: .* expired at /);
    const issuance = examineEndorsement(described, { ...trust, judgedAt: 'issuance' }, later);
    assert.equal(issuance.state, 'warning');
    if (leaf.notAfterSeconds >= later) assert.match(issuance.found, /the chain is judged at /);
    else assert.match(issuance.found, /the hub will refuse it: .* expired at /);
  },
);

test(
  'the root of trust that the doctor names enrolls without a token when an import has it',
  { skip: skipWithoutTpm },
  async () => {
    const { simulators, world } = worldOf();
    const simulator = await simulators.start('imported');
    const { stdout } = await run(process.execPath, [
      program,
      'doctor',
      '--json',
      '--tpm',
      `unix:${simulator.socketPath}`,
    ]);
    const { rootSha256 } = z.object({ rootSha256: z.string() }).parse(JSON.parse(stdout));
    const tpm = await TpmRootOfTrust.open(simulator.address);
    // As an agent chooses.
    const [kind = 'rsa-2048'] = await tpm.certifiedKinds();
    await tpm.useEndorsementKey(kind);
    const device = worldOf().keep(await TestDevice.with('imported', tpm, healthyBoot));
    const [token, body] = [await world.adminToken(), JSON.stringify({ id: 'imported', rootSha256 })];
    await world.askOperator('POST', '/v1/devices/import', { token, body, contentType: 'application/x-ndjson' });
    accepted(await device.tryEnroll(world, undefined), certificateResponse);
  },
);

test(
  'a device says in the registry by which maker it came, a root counts it, and its removal asks for force',
  {
    skip: skipWithoutTpm,
  },
  async () => {
    const { world } = worldOf();
    await worldOf().device('press-1');
    const { makers } = await world.device('press-1');
    assert.deepEqual(
      makers.map(({ kind, notes }) => `${kind} ${notes.length}`),
      ['tpm 0'],
    );
    const keyFile = join(world.folder, 'press-1.key');
    const shown = ['device', 'show', 'press-1', '--attestation-key', keyFile, '--operator', world.operatorFile];
    await run(process.execPath, [program, ...shown]);
    assert.equal(parsePublic(await readFile(keyFile)).kind, 'ecc');
    const { roots } = await world.operator.get('/v1/vendor-roots?kind=tpm', vendorRootList);
    // This device, and the imported one above.
    assert.deepEqual(roots.map(({ role, usedBy }) => `${role} ${usedBy}`).toSorted(), ['intermediate 2', 'root 2']);
    // As the previous version left it: the paths are found again at the start.
    await world.stop();
    await inStore(world.place, async (store) => {
      for (const table of ['device_maker', 'device_maker_path']) await store.run(`delete from ${table}`);
    });
    await adoptStore(world);
    await world.start();
    const again = await world.operator.get('/v1/vendor-roots?kind=tpm', vendorRootList);
    assert.deepEqual(again.roots, roots);
    const root = roots.find(({ role }) => role === 'root');
    const path = `/v1/vendor-roots/tpm/${root?.sha256}?reason=a%20test`;
    const token = await world.adminToken();
    assertRefused(await world.askOperator('DELETE', path, { token }), {
      status: 409,
      code: 'conflict',
      reason: 'vendor-root-in-use',
    });
    const removed = await world.operator.send('DELETE', `${path}&force=true`, undefined, vendorRootRemoved);
    assert.equal(removed.usedBy, 2);
    await assert.rejects(worldOf().device('press-2'), /enrollment-refused|not one of a known TPM maker/);
  },
);
