// The attestation door (spec/agent.md, "The attestation door"): anybody's curl asks a device for evidence by TLS, and the command line verifies
// it with what the hub knows of the device by its name. A real agent on a TPM simulator.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { healthyBoot, logOf, measure } from './support/boot.ts';
import { runProgram } from './support/run-program.ts';
import { TestAgent } from './support/test-agent.ts';
import { skipWithoutTpm, TpmWorld } from './support/tpm-world.ts';

const skip = skipWithoutTpm === false ? await skipWithout('curl', 'openssl') : skipWithoutTpm;
const main = join(import.meta.dirname, '../cli/src/main.ts');
const deviceId = 'edge-device';

describe('the attestation door of a device', { skip }, () => {
  let fleet: TpmWorld;
  let agent: TestAgent;
  let folder = '';

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'edgekeep-door-'));
    fleet = await TpmWorld.open();
    const request = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'];
    const names = ['-subj', '/CN=edge-device', '-addext', 'subjectAltName=DNS:edge-device'];
    await run('openssl', 'req', '-x509', ...request, ...names, '-keyout', 'door.key', '-out', 'door.pem');
    const simulator = await fleet.simulator('door');
    {
      await using rootOfTrust = await TpmRootOfTrust.open(simulator.address);
      await measure(rootOfTrust, healthyBoot);
    }
    const firmwareLogFile = join(folder, 'boot.log');
    await writeFile(firmwareLogFile, logOf(healthyBoot));
    agent = await TestAgent.prepare(
      fleet.world,
      deviceId,
      {
        rootOfTrust: { kind: 'tpm', address: `unix:${simulator.socketPath}` },
        measuredStart: { firmwareLogFile },
        attestDoor: {
          host: '127.0.0.1',
          port: 0,
          certificateFile: join(folder, 'door.pem'),
          keyFile: join(folder, 'door.key'),
        },
      },
      'tpm',
    );
    const story = await agent.start();
    await story.next('attested');
  });
  after(async () => {
    await agent?.[Symbol.asyncDispose]();
    await fleet?.[Symbol.asyncDispose]();
    if (folder !== '') await rm(folder, { recursive: true });
  });

  const run = (program: string, ...args: readonly string[]) => runProgram(folder, program, ...args);

  /** As anybody would, with the device's name in their DNS. */
  async function curl(path: string, ...args: readonly string[]): Promise<{ status: number; out: string }> {
    const { attestPort: port } = agent.agent;
    const named = ['--cacert', 'door.pem', '--connect-to', `edge-device:443:127.0.0.1:${port}`];
    return run('curl', '-s', ...named, ...args, `https://edge-device${path}`);
  }

  async function ask(query = ''): Promise<string> {
    const { status, out } = await curl(`/attest${query}`);
    assert.equal(status, 0, out);
    return out;
  }

  async function verify(answer: string, ...args: readonly string[]): Promise<{ status: number; out: string }> {
    await writeFile(join(folder, 'answer.json'), answer);
    const { operatorFile } = fleet.world;
    const words = ['attest', 'verify', '--attestation', 'answer.json', '--operator', operatorFile, ...args];
    return run(process.execPath, main, ...words);
  }

  const byName = ['--device', deviceId];

  test('an answer over a nonce of the caller verifies by the name of the device', async () => {
    const nonce = randomBytes(32).toString('hex');
    const { status, out } = await verify(await ask(`?nonce=${nonce}`), ...byName, '--nonce', nonce);
    assert.equal(status, 0, out);
    assert.match(out, /^verified: \w+, tier tpm/);
  });

  test('an answer to a plain GET /attest verifies by the name of the device and the time of the hub’s result', async () => {
    const answer = await ask();
    const { status, out } = await verify(answer, ...byName);
    assert.equal(status, 0, out);
    // Callers at the same time cost the TPM nothing more.
    assert.equal(await ask(), answer);
  });

  test('the script in the field pushes an update to a device that proves itself, and alerts for another', async () => {
    const { attestPort: port } = agent.agent;
    const script = (name: string) => `
curl() { command curl --cacert door.pem --connect-to "edge-device:443:127.0.0.1:${port}" "$@"; }
verify_attestation() { echo "$1" | ${process.execPath} ${main} attest verify --attestation - --device ${name} --operator ${fleet.world.operatorFile} > /dev/null; }
push_model_update() { echo "pushed $2 to $1"; }
alert() { echo "alert"; }
# Verify device integrity before pushing model update
ATTESTATION=$(curl -s https://edge-device/attest)
if verify_attestation "$ATTESTATION"; then
  push_model_update edge-device model-v3.1.enc
else
  alert "Device attestation failed: $(hostname)"
fi
`;
    assert.match((await run('bash', '-c', script(deviceId))).out, /^pushed model-v3\.1\.enc to edge-device$/m);
    assert.match((await run('bash', '-c', script('other-device'))).out, /^alert$/m);
  });

  // SECURITY.md: DEV-81
  test('an answer that is replayed, or is of another device, does not verify', async (t) => {
    const nonce = randomBytes(32).toString('hex');
    const old = await ask(`?nonce=${nonce}`);
    const plain = await ask();
    const expectRefusal = (title: string, answer: string, args: readonly string[], why: RegExp) =>
      t.test(title, async () => {
        const { status, out } = await verify(answer, ...args);
        assert.notEqual(status, 0);
        assert.match(out, why);
      });
    const other = randomBytes(32).toString('hex');
    await expectRefusal('an old answer to a new nonce', old, [...byName, '--nonce', other], /qualifying-data-mismatch/);
    await expectRefusal('over a nonce, as if it were over the result', old, byName, /qualifying-data-mismatch/);
    await expectRefusal('without a name', plain, [], /--key or --device/);
    await expectRefusal('a device that the hub does not know', plain, ['--device', 'nobody'], /nobody/);
    const changed = plain.replace(/"attestationResult":"[^"]{20}/, (found) => `${found.slice(0, -1)}x`);
    await expectRefusal('a result that the hub did not sign', changed, byName, /does not count|token-invalid|invalid/);
  });

  // SECURITY.md: DEV-81
  test('there is nothing else at the door, and strangers cannot keep the TPM busy', async (t) => {
    const status = async (path: string, ...args: readonly string[]) =>
      (await curl(path, '-o', '/dev/null', '-w', '%{http_code}', ...args)).out;
    for (const path of ['/', '/status', '/desired', '/receipts/surface', '/attest/x', '/models/x'])
      await t.test(path, async () => assert.equal(await status(path), '404'));
    await t.test('POST', async () => assert.equal(await status('/attest', '-d', '{}'), '405'));
    for (const query of ['?nonce=', '?nonce=ab', `?nonce=${'ab'.repeat(32)}&nonce=${'ab'.repeat(32)}`])
      await t.test(query, async () => assert.equal(await status(`/attest${query}`), '400'));
    await t.test('TLS 1.2', async () => assert.notEqual((await curl('/attest', '--tls-max', '1.2')).status, 0));
    await t.test('many nonces', async () => {
      const nonces = Array.from({ length: 20 }, () => `/attest?nonce=${randomBytes(32).toString('hex')}`);
      const answers = await Promise.all(nonces.map((path) => status(path)));
      assert.ok(answers.includes('429'), answers.join());
      // 000: the connection was refused, because an address has no more than a share of them.
      assert.ok(
        answers.every((code) => ['200', '429', '000'].includes(code)),
        answers.join(),
      );
      // Who needs no nonce of their own, still gets an answer.
      assert.equal(await status('/attest'), '200');
    });
  });

  test('a result that is old is renewed for those who rely on its time, and one of another time does not count', async () => {
    const { attestationResult: before } = JSON.parse(await ask());
    fleet.world.clock.advanceSeconds(4_000);
    await ask();
    await agent.story.next('attested');
    const later = await ask();
    assert.notEqual(JSON.parse(later).attestationResult, before);
    // For the command line, which has the machine's clock, it is of the future.
    const { status, out } = await verify(later, ...byName);
    assert.notEqual(status, 0);
    assert.match(out, /seconds in the future/);
  });

  test('walls of guards are nothing for strangers', async () => {
    assert.equal(JSON.parse(await ask()).missingGuardWalls, null);
  });
});
