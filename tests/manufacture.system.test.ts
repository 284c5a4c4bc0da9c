// A manufacturing line and its products, with the programs that people run: simulated TPMs and SoftHSM2 tokens get IDevIDs, a batch is
// killed and continued, and the devices enroll without a token at a hub that trusts their manufacturer.
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { appendFile, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:net';
import { Readable } from 'node:stream';
import { after, before, suite, test } from 'node:test';
import { promisify } from 'node:util';
import { toBase64url } from '@edgekeep/core/bytes';
import { parsePem } from '@edgekeep/core/identity/pem';
import { Pkcs11RootOfTrust } from '@edgekeep/hardware/pkcs11/pkcs11-root-of-trust';
import { skipWithoutSoftHsm, softHsmModule, type TestTokens, testTokens } from '@edgekeep/hardware/pkcs11/testing';
import type { TpmSimulator } from '@edgekeep/hardware/tpm/simulator';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import { enrollmentGroupView } from '@edgekeep/wire/api/enrollment-group';
import { stateResponse } from '@edgekeep/wire/api/device-view';
import { importReport } from '@edgekeep/wire/api/registry';
import { z } from 'zod';
import { endChild } from './support/child.ts';
import { accepted, type Answer, assertRefused } from './support/answer.ts';
import { TestAgent } from './support/test-agent.ts';
import { TestDevice } from './support/test-device.ts';
import { skipWithoutTpm, TpmWorld } from './support/tpm-world.ts';

const program = createRequire(import.meta.url).resolve('@edgekeep/cli/main');
const run = promisify(execFile);
const skip = skipWithoutTpm === false ? await skipWithoutSoftHsm() : skipWithoutTpm;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line to its end. */
async function edgekeep(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const code = await ending(child);
  return { code, stdout, stderr };
}

async function ending(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  return new Promise((resolve) => child.once('close', (code) => resolve(code)));
}

async function done(...args: readonly string[]): Promise<Ended> {
  const ended = await edgekeep(...args);
  assert.equal(ended.code, 0, ended.stderr);
  return ended;
}

const manifestLine = z.object({
  id: z.string(),
  rootSha256: z.string(),
  idevidSha256: z.string(),
  tags: z.record(z.string(), z.string()),
});

suite('a manufacturing line', { skip }, () => {
  let folder: string;
  let ca: string;
  let fleet: TpmWorld;
  let tokens: TestTokens;
  const simulators = new Map<string, TpmSimulator>();
  let csv: string;
  let thirdPlace: string;
  let vendorRoots: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'edgekeep-line-'));
    ca = join(folder, 'ca');
    tokens = await testTokens('issuing', 'cam-4', 'cam-5', 'cam-6', 'cam-7', 'cam-8');
    fleet = await TpmWorld.open();
    for (const name of ['cam-1', 'cam-2', 'cam-3']) simulators.set(name, await fleet.simulator(name));
    vendorRoots = join(folder, 'vendors.pem');
    await writeFile(vendorRoots, fleet.vendor.root + fleet.vendor.intermediate);
    csv = join(folder, 'line.csv');
    thirdPlace = join(folder, 'third.sock');
    const tpms = [...simulators].map(([name, { socketPath }]) => {
      const path = name === 'cam-3' ? thirdPlace : socketPath;
      return `${name.toUpperCase()},,unix:${path},,,,"line 1, left"`;
    });
    const elements = ['cam-4', 'cam-5', 'cam-6'].map((name) => {
      const id = name === 'cam-6' ? 'press-6' : '';
      return `${name.toUpperCase()},${id},,${softHsmModule},${name},${tokens.place(name).pinFile},right`;
    });
    const rows = ['serial,id,tpm,module,token,pinFile,tag.side', ...tpms, ...elements];
    await writeFile(csv, `${rows.join('\r\n')}\r\n`);
  });
  after(async () => {
    await fleet?.[Symbol.asyncDispose]();
    await tokens?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const batch = (output: string) => [
    'manufacture',
    'batch',
    '--ca',
    ca,
    '--input',
    csv,
    '--output',
    output,
    '--vendor-roots',
    vendorRoots,
  ];
  const lines = async (path: string) =>
    (await readFile(path, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((text) => manifestLine.parse(JSON.parse(text)));

  test('the authorities are made once, with the issuing key in a token', async () => {
    const { module, pinFile } = tokens.place('issuing');
    const token = ['--pkcs11', module, '--token', 'issuing', '--pin-file', pinFile];
    const order = ['manufacture', 'init', '--ca', ca, '--organization', 'Example Works', ...token];
    await done(...order, '--root-folder', join(folder, 'root'), '--hardware-type', '1.3.6.1.4.1.32473.7');
    assert.deepEqual((await readdir(ca)).toSorted(), [
      'issued',
      'issuing.pem',
      'keys',
      'manufacturer.json',
      'root.pem',
    ]);
    const before = await readFile(join(ca, 'root.pem'));
    assert.equal((await edgekeep(...order)).code, 3);
    assert.deepEqual(await readFile(join(ca, 'root.pem')), before);
  });

  test('a batch that is killed goes on where it was: no serial number twice, the manifest whole', async () => {
    const output = join(folder, 'manifest.ndjson');
    // The server at the third place does not answer: the line is killed while it waits there. The server reads, or it would not notice the
    // end of the connection.
    await using silent = createServer((socket) => socket.on('error', () => undefined).resume());
    await new Promise<void>((resolve) => silent.listen(thirdPlace, resolve));
    const reached = new Promise<void>((resolve) => silent.once('connection', () => resolve()));
    const child = spawn(process.execPath, [program, ...batch(output)], { stdio: 'ignore' });
    await using _ = { [Symbol.asyncDispose]: () => endChild(child) };
    await Promise.race([reached, ending(child)]);
    child.kill('SIGKILL');
    await ending(child);
    await new Promise((resolve) => silent.close(resolve));
    await rm(thirdPlace, { force: true });
    await symlink(simulators.get('cam-3')?.socketPath ?? assert.fail(), thirdPlace);
    const issuedBefore = await readdir(join(ca, 'issued'));
    assert.deepEqual(issuedBefore.toSorted(), ['cam-1.pem', 'cam-2.pem']);
    // What a power failure can leave of the line that was being written.
    await appendFile(output, '{"id":"cam-3","rootSh');
    const kept = new Map(
      await Promise.all(issuedBefore.map(async (name) => [name, await readFile(join(ca, 'issued', name))] as const)),
    );

    const { stderr } = await done(...batch(output));
    const manifest = await lines(output);
    assert.deepEqual(manifest.map(({ id }) => id).toSorted(), ['cam-1', 'cam-2', 'cam-3', 'cam-4', 'cam-5', 'press-6']);
    assert.equal((await readdir(join(ca, 'issued'))).filter((name) => name.endsWith('.pem')).length, 6);
    for (const [name, pem] of kept) assert.deepEqual(await readFile(join(ca, 'issued', name)), pem);
    assert.doesNotMatch(stderr, /CAM-1|CAM-2:/);
    const { serial, side } = manifest.find(({ id }) => id === 'cam-1')?.tags ?? {};
    assert.deepEqual([serial, side], ['CAM-1', 'line 1, left']);

    const again = await done(...batch(output), '--json');
    assert.deepEqual(JSON.parse(again.stdout), {
      devices: 6,
      made: 0,
      before: 6,
      failed: 0,
      manifest: output,
      failures: [],
    });
    assert.equal((await lines(output)).length, 6);
  });

  test('a crash between the certificate and the manifest issues nothing new', async () => {
    const output = join(folder, 'lost.ndjson');
    await writeFile(output, '');
    const { stderr } = await done(...batch(output));
    assert.equal(stderr.match(/had its IDevID already/g)?.length, 6);
    const byId = (list: z.infer<typeof manifestLine>[]) => list.toSorted((a, b) => a.id.localeCompare(b.id));
    assert.deepEqual(byId(await lines(output)), byId(await lines(join(folder, 'manifest.ndjson'))));
  });

  test('openssl verifies every IDevID up to the manufacturer’s root', async () => {
    for (const name of await readdir(join(ca, 'issued'))) {
      const file = join(ca, 'issued', name);
      const authorities = ['-CAfile', join(ca, 'root.pem'), '-untrusted', join(ca, 'issuing.pem')];
      await run('openssl', ['verify', '-x509_strict', ...authorities, file]);
      assert.equal(new X509Certificate(await readFile(file)).validTo, 'Dec 31 23:59:59 9999 GMT');
    }
  });

  test('a device shows its IDevID', async () => {
    const address = `unix:${simulators.get('cam-1')?.socketPath}`;
    const { stdout } = await done('doctor', '--tpm', address);
    assert.match(stdout, /ok\s+IDevID\s+serial number CAM-1, by O=Example Works,CN=Example Works device issuing CA/);
  });

  test('the wrong device at a place is named, and the line goes on', async () => {
    const wrong = join(folder, 'wrong.csv');
    const [first, second] = [...simulators.values()].map(({ socketPath }) => `unix:${socketPath}`);
    const rows = [
      'serial,tpm,idevidFile',
      `CAM-1,${second},`,
      `CAM-77,${first},`,
      `CAM-78,unix:${folder}/nobody,`,
      `CAM-2,${second},`,
    ];
    await writeFile(wrong, `${rows.join('\n')}\n`);
    const output = join(folder, 'wrong.ndjson');
    const order = ['manufacture', 'batch', '--ca', ca, '--input', wrong, '--output', output, '--json'];
    const { code, stdout } = await edgekeep(...order);
    assert.equal(code, 1);
    const { failures, made } = z
      .object({ made: z.number(), failures: z.array(z.object({ line: z.number(), code: z.string() })) })
      .parse(JSON.parse(stdout));
    assert.deepEqual(
      failures.map(({ line, code: reason }) => [line, reason]),
      [
        [2, 'serial-taken'],
        [3, 'key-taken'],
        [4, 'tpm-unreachable'],
      ],
    );
    assert.equal(made, 1);
    assert.deepEqual(
      (await lines(output)).map(({ id }) => id),
      ['cam-2'],
    );
  });

  // SECURITY.md: DEV-06
  test('a TPM of a vendor that is not named gets no IDevID', async () => {
    const foreign = await fleet.simulator('foreign', 'another-vendor');
    const place = ['--tpm', `unix:${foreign.socketPath}`];
    const ended = await edgekeep(
      'manufacture',
      'device',
      'CAM-90',
      '--ca',
      ca,
      ...place,
      '--vendor-roots',
      vendorRoots,
    );
    assert.equal(ended.code, 1);
    assert.match(ended.stdout, /endorsement-refused/);
    assert.ok(!(await readdir(join(ca, 'issued'))).includes('cam-90.pem'));
  });

  test('a table with a serial number twice, a short line or an unknown column touches no device', async () => {
    const bad = [
      ['serial,tpm', 'A-1,unix:/a', 'a-1,unix:/b'],
      ['serial,tpm', 'A-1'],
      ['serial,tpm,tag.serial', 'A-1,unix:/a,x'],
      ['serial,tmp', 'A-1,unix:/a'],
      ['serial,tpm', '"A-1,unix:/a'],
      ['serial,tpm', '../../x,unix:/a'],
      ['serial,tpm,module', 'A-1,unix:/a,/b.so'],
      ['serial,id,tpm', 'A-1,Not An Id,unix:/a'],
    ];
    const output = join(folder, 'none.ndjson');
    for (const rows of bad) {
      const file = join(folder, 'bad.csv');
      await writeFile(file, rows.join('\n'));
      const { code, stderr } = await edgekeep('manufacture', 'batch', '--ca', ca, '--input', file, '--output', output);
      assert.equal(code, 3, rows.join('|'));
      assert.match(stderr, /encoding-invalid/);
    }
    await assert.rejects(readFile(output));
  });

  test('a file that is no manifest loses no byte', async () => {
    const path = join(folder, 'precious.txt');
    await writeFile(path, 'something else\nand more');
    const { code } = await edgekeep(...batch(path));
    assert.equal(code, 3);
    assert.equal(await readFile(path, 'utf8'), 'something else\nand more');
    await truncate(path);
  });

  test('a hub that trusts the manufacturer enrolls the devices without a token, and they serve the bind', async () => {
    const { world } = fleet;
    const certificate = await readFile(join(ca, 'root.pem'), 'utf8');
    const order = { name: 'works', kind: 'ca', certificate };
    await world.operator.send('POST', '/v1/enrollment-groups', order, enrollmentGroupView);
    const listed = await readFile(join(folder, 'manifest.ndjson'));
    const source = () => Readable.from([listed]);
    const report = await world.operator.sendLines('/v1/devices/import', source, importReport);
    assert.deepEqual([report.expected, report.rejected], [6, 0]);

    const camera = fleet.keep(await TestDevice.withTpm('cam-1', simulators.get('cam-1') ?? assert.fail()));
    accepted(await camera.tryEnroll(world, undefined), certificateResponse);
    await using link = await camera.connect(world.hub);
    assert.ok(link.connected);

    const element = fleet.keep(await secureElement('press-6', 'cam-6'));
    accepted(await element.tryEnroll(world, undefined), certificateResponse);
    await using second = await element.connect(world.hub);
    assert.ok(second.connected);

    const manifest = await lines(join(folder, 'manifest.ndjson'));
    for (const [id, serial, tier] of [
      ['cam-1', 'CAM-1', 'tpm'],
      ['press-6', 'CAM-6', 'secure-element'],
    ] as const) {
      const device = await world.device(id);
      const line = manifest.find((each) => each.id === id);
      assert.deepEqual([device.tier, device.idevid?.serialNumber, device.tags['serial']], [tier, serial, serial]);
      assert.deepEqual([device.idevid?.sha256, device.rootSha256], [line?.idevidSha256, line?.rootSha256]);
    }
  });

  test('a real agent with neither token nor certificate finds its IDevID and enrolls by it', async () => {
    const { world } = fleet;
    for (const [id, rootOfTrust] of [
      ['cam-2', { kind: 'tpm', address: `unix:${simulators.get('cam-2')?.socketPath}` }],
      ['cam-5', { kind: 'pkcs11', module: softHsmModule, token: 'cam-5', pinFile: tokens.place('cam-5').pinFile }],
    ] as const) {
      await using agent = await TestAgent.prepare(world, id, { rootOfTrust });
      await rm(join(agent.stateFolder, 'enrollment-token'));
      const story = await agent.start();
      await story.next('enrolled');
      await story.next('connected');
      assert.equal((await world.device(id)).idevid?.serialNumber, id.toUpperCase());
    }
  });

  test('a device that was wiped comes back by its TPM, and its IDevID is still the one of that device', async () => {
    const { world } = fleet;
    const simulator = simulators.get('cam-3') ?? assert.fail();
    const enroll = async () => {
      await simulator.powerCycle();
      await using device = await TestDevice.withTpm('cam-3', simulator);
      accepted(await device.tryEnroll(world, undefined), certificateResponse);
    };
    await enroll();
    const { idevid } = await world.device('cam-3');
    await world.setState('cam-3', 'quarantine');
    await world.operator.send('POST', '/v1/devices/cam-3/wiped', { reason: 'erased' }, stateResponse);
    await enroll();
    const back = await world.device('cam-3');
    assert.deepEqual([back.incarnation, back.idevid], [2, idevid]);
  });

  test('the IDevID of one token, and one of a TPM, do not open the door for another token', async () => {
    const { world } = fleet;
    for (const name of ['cam-7', 'cam-8']) {
      const place = ['--pkcs11', softHsmModule, '--token', name, '--pin-file', tokens.place(name).pinFile];
      await done('manufacture', 'device', name.toUpperCase(), '--ca', ca, ...place);
    }
    const element = fleet.keep(await secureElement('cam-7', 'cam-8'));
    const chainOf = async (serial: string) => {
      const pem = await readFile(join(ca, 'issued', `${serial}.pem`), 'utf8');
      const all = pem + (await readFile(join(ca, 'issuing.pem'), 'utf8'));
      return parsePem(all, 'CERTIFICATE').map(toBase64url);
    };
    const shows = (chain: readonly string[]) => ({ start: (honest: object) => ({ ...honest, idevid: { chain } }) });
    const refusedFor = (answer: Answer, reason: string) =>
      assertRefused(answer, { status: 403, code: 'enrollment-refused', reason });

    refusedFor(await element.tryEnroll(world, undefined), 'idevid-id-differs');
    refusedFor(await element.tryEnroll(world, undefined, shows(await chainOf('cam-7'))), 'idevid-not-possessed');
    refusedFor(await element.tryEnroll(world, undefined, shows(await chainOf('cam-1'))), 'idevid-tier-differs');
    await assert.rejects(world.device('cam-7'), { code: 'not-found' });
  });

  async function secureElement(id: string, token: string): Promise<TestDevice> {
    const stateFolder = join(folder, 'state', id);
    const rootOfTrust = await Pkcs11RootOfTrust.open({ ...tokens.place(token), stateFolder, bootId: 'boot-1' });
    return TestDevice.with(id, rootOfTrust);
  }
});
