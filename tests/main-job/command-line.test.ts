// The main job as people do it: every step a command line, from an empty folder to a retired device. Each verb's JSON, each kind of exit
// code.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BootLog } from '@edgekeep/hardware/boot/boot-log';
import { testSimulators, type TestSimulators } from '@edgekeep/hardware/tpm/testing';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { boot, healthyStages } from '@edgekeep/sim/firmware';
import { auditList, auditProof } from '@edgekeep/wire/api/audit';
import { deviceDetail, deviceView, stateResponse } from '@edgekeep/wire/api/device-view';
import { enrollmentTokenResponse } from '@edgekeep/wire/api/enrollment-token';
import { modelView } from '@edgekeep/wire/api/model-release';
import { apiTokenResponse } from '@edgekeep/wire/api/people';
import { policyView } from '@edgekeep/wire/api/policy';
import { publisherResponse } from '@edgekeep/wire/api/publisher';
import { referenceValuesView } from '@edgekeep/wire/api/reference-values';
import { z } from 'zod';
import { edgekeep, edgekeepJson, startEdgekeep, type Words } from './edgekeep.ts';
import { freePort } from '../support/free-port.ts';
import { jobTest } from './job-world.ts';
import { ending } from '../support/child.ts';
import { closeAll } from '../support/closing.ts';
import { assertTellsDarkFromBright, until } from './predict.ts';

const model = fileURLToPath(new URL('../../guard/src/fixtures/primary.onnx', import.meta.url));
const name = 'brightness';
const id = 'press-1';
const anything = z.looseObject({});

/** A program that runs until a signal stops it, and the JSON lines that it writes. */
class Running implements AsyncDisposable {
  readonly lines: Record<string, unknown>[] = [];
  readonly #child: ReturnType<typeof startEdgekeep>;
  readonly #ended: Promise<number | null>;

  constructor(...words: readonly Words[]) {
    this.#child = startEdgekeep(...words);
    this.#ended = new Promise((resolve) => this.#child.once('close', (code) => resolve(code)));
    createInterface({ input: this.#child.stdout }).on('line', (line) =>
      this.lines.push(anything.parse(JSON.parse(line))),
    );
    this.#child.stderr.resume();
  }

  async told(is: (line: Record<string, unknown>) => boolean, what: string): Promise<void> {
    await until(() => this.lines.some(is), what);
  }

  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ending(this.#child)[Symbol.asyncDispose]();
  }
}

/** What `token create` prints for a token it made. */
const createdToken = apiTokenResponse.extend({ token: z.string() });

describe('edgekeep, from an empty folder to a retired device', jobTest, () => {
  let folder: string;
  let simulators: TestSimulators;
  let tpm: string;
  let hub: Running | undefined;
  let agent: Running | undefined;
  const at = (path: string) => join(folder, path);
  const operator = () => ['--operator', at('hub/operator.json')];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'edgekeep-cli-'));
    simulators = await testSimulators();
    const simulator = await simulators.start('tpm');
    tpm = `unix:${simulator.socketPath}`;
    await using rootOfTrust = await TpmRootOfTrust.open(simulator.address);
    const log = await BootLog.open({ folder: at('firmware'), bootId: id, rootOfTrust });
    await boot(log, healthyStages);
    await writeFile(at('firmware.log'), log.bytes);
    const { root, intermediate } = await simulator.vendorCertificates();
    await mkdir(at('vendor'));
    await writeFile(at('vendor/root.pem'), root);
    await writeFile(at('vendor/intermediate.pem'), intermediate);
  });
  after(async () => {
    await closeAll(simulators, hub, agent);
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  test('hub init makes a hub once, hub run serves it', async () => {
    const settings = {
      device: { port: await freePort() },
      operator: { port: await freePort() },
      logLevel: 'silent',
      leaseSeconds: 60,
    };
    const init = ['hub', 'init', '--data', at('hub'), '--settings', JSON.stringify(settings)];
    const made = await edgekeepJson(z.looseObject({ operatorFile: z.string(), rootKeyFile: z.string() }), init);
    assert.equal(made.operatorFile, at('hub/operator.json'));
    const again = await edgekeep(init);
    assert.equal(again.code, 3);
    assert.match(again.stderr, /holds a hub already/);
    assert.equal(
      (await edgekeep(init.with(3, at('hub2')).with(5, '{"leaseSecond":60}'))).code,
      3,
      'a misspelt setting',
    );
    assert.equal((await edgekeep('hub', 'init', '--unlock', 'nothing known')).code, 2);
    for (const file of ['root.pem', 'intermediate.pem']) {
      await writeFile(at(`hub/vendor-roots/${file}`), await readFile(at(`vendor/${file}`)));
    }
    hub = new Running('hub', 'run', '--data', at('hub'), '--json');
    await hub.told(({ ready }) => ready === true, 'the hub is ready');
  });

  test('a publisher makes a key, is trusted, and publishes a boot and a model', async () => {
    const keys = await edgekeepJson(
      z.looseObject({ privateKey: z.string(), publicKey: z.string(), fingerprint: z.string() }),
      ['model', 'keygen', '--out', at('key.pem')],
    );
    assert.equal((await edgekeep('model', 'keygen', '--out', at('key.pem'))).code, 3, 'a key is never overwritten');
    const publish = ['model', 'publish', model, '--name', name, '--version', '1.0.0', '--key', keys.privateKey];
    const early = await edgekeep(publish, operator());
    assert.equal(early.code, 1, 'nobody trusts this key yet');
    const trusted = await edgekeepJson(publisherResponse, ['publisher', 'trust', keys.publicKey], operator());
    assert.equal(trusted.fingerprint, keys.fingerprint);
    const publishers = await edgekeepJson(z.array(publisherResponse), ['publisher', 'list'], operator());
    assert.deepEqual(publishers, [trusted]);

    const golden = ['attest', 'reference', at('firmware.log'), '--name', 'press', '--version', '1.0.0'];
    await edgekeepJson(z.looseObject({ events: z.number() }), golden, ['--out', at('boot.json')]);
    const reference = ['reference', 'publish', at('boot.json'), '--key', keys.privateKey];
    await edgekeepJson(referenceValuesView, reference, operator());
    const values = await edgekeepJson(z.array(referenceValuesView), ['reference', 'list'], operator());
    assert.deepEqual(
      values.map((each) => `${each.name} ${each.version}`),
      ['press 1.0.0'],
    );
    const release = await edgekeepJson(modelView, publish, operator());
    assert.equal(release.state, 'published');
    assert.deepEqual(release.files.map(({ path }) => path).toSorted(), ['primary.onnx', 'primary.ort']);
    assert.equal((await edgekeep(publish, operator())).code, 1, 'a published version never changes');
    const models = await edgekeepJson(z.array(modelView), ['model', 'list'], operator());
    assert.deepEqual(
      models.map(({ manifestDigest }) => manifestDigest),
      [release.manifestDigest],
    );
  });

  test('a policy is shown and applied; one that constrains nothing is refused and changes nothing', async () => {
    const first = await edgekeepJson(policyView, ['policy', 'show'], operator());
    await writeFile(at('open.cedar'), 'permit (principal, action, resource);\n');
    assert.equal((await edgekeep('policy', 'apply', at('open.cedar'), operator())).code, 1);
    await writeFile(at('policy.cedar'), `// for the presses\n${first.text}`);
    const next = await edgekeepJson(policyView, ['policy', 'apply', at('policy.cedar')], operator());
    assert.equal(next.version, first.version + 1);
    assert.equal((await edgekeep('policy', 'apply', at('missing'), operator())).code, 3);
  });

  test('a device gets its kit, enrolls, attests and answers', async () => {
    const token = await edgekeepJson(enrollmentTokenResponse, ['enroll', 'token', '--device', 'spare'], operator());
    assert(token.expiresAt > Date.now());
    const kit = ['enroll', 'kit', id, '--out', at('state'), '--model', name, '--tpm', tpm];
    await edgekeepJson(z.looseObject({ tier: z.literal('tpm') }), kit, operator());
    const settings = z.looseObject({}).parse(JSON.parse(await readFile(at('state/agent.json'), 'utf8')));
    await mkdir(at('agent-code'));
    await writeFile(at('agent-code/agent.js'), 'the code of the agent\n');
    const sign = ['model', 'sign', at('agent-code'), '--key', at('key.pem'), '--signature', at('agent.sigstore.json')];
    assert.equal((await edgekeep(sign)).code, 0);
    // The simulator is no device of this machine: it has no log in /sys.
    const measuredStart = {
      firmwareLogFile: at('firmware.log'),
      keyFiles: ['publisher-1.pem'],
      stages: [{ name: 'agent', folder: at('agent-code'), signature: at('agent.sigstore.json') }],
    };
    await writeFile(at('state/agent.json'), JSON.stringify({ ...settings, checkinSeconds: 0.5, measuredStart }));
    agent = new Running('agent', 'run', '--state', at('state'));
    await agent.told(({ kind, step }) => kind === 'refused' && step === 'release', 'no key without a group');

    // A device that booted with the agent is healthy, the model is for a group, and the device is in it.
    const [log = ''] = await readdir(at('state/boot'));
    const golden = ['attest', 'reference', at(`state/boot/${log}`), '--name', 'press', '--version', '1.1.0'];
    await edgekeepJson(z.looseObject({ events: z.number() }), golden, ['--out', at('boot-with-agent.json')]);
    const reference = ['reference', 'publish', at('boot-with-agent.json'), '--key', at('key.pem')];
    await edgekeepJson(referenceValuesView, reference, operator());
    assert.equal((await edgekeep('group', 'create', 'presses', operator())).code, 0);
    assert.equal((await edgekeep('model', 'assign', name, 'presses', operator())).code, 0);
    assert.equal((await edgekeep('group', 'add', 'presses', id, operator())).code, 0);
    await agent.told(({ kind }) => kind === 'serving', 'the agent serves');
    await assertTellsDarkFromBright(at(`state/run/${name}.sock`), name);
    assert.equal((await edgekeep('agent', 'run', '--no-such-option')).code, 2);
    assert.equal((await edgekeep('agent', 'run', '--state', at('nothing'))).code, 3);
  });

  test('the log shows and proves what happened, and the receipt verifies with nothing but the trust file', async () => {
    const trust = await edgekeepJson(
      z.looseObject({ logs: z.array(z.looseObject({ key: z.string() })) }),
      ['trust', 'show', '--out', at('trust.json')],
      operator(),
    );
    const logKey = trust.logs.at(-1)?.key ?? '';
    const { entries } = await edgekeepJson(auditList, ['audit', 'show', '--limit', '200'], operator());
    const released = entries.find(({ kind }) => kind === 'key-released');
    assert(released !== undefined, entries.map(({ kind }) => kind).join(' '));
    const prove = ['audit', 'prove', String(released.index), '--out', at('proof')];
    assert.equal((await edgekeepJson(auditProof, prove, operator())).index, released.index);
    assert.match(await readFile(at('proof.entry'), 'utf8'), /key-released/);
    const verify = ['audit', 'verify', at('hub/log'), '--key', logKey];
    assert.equal((await edgekeepJson(z.looseObject({ kind: z.string() }), verify)).kind, 'verified');
    const other = logKey.replace(/^[^+]+/, 'other.example/log');
    assert.notEqual((await edgekeep('audit', 'verify', at('hub/log'), '--key', other)).code, 0);

    const receipt = ['receipt', 'verify', at('receipt.json'), '--trust', at('trust.json')];
    // The device cosigns at its next check-in.
    const get = ['receipt', 'get', '--wait', '--out', at('receipt.json')];
    await edgekeepJson(z.looseObject({ lease: z.string() }), get, operator());
    const verified = await edgekeepJson(
      z.looseObject({ kind: z.string(), device: z.looseObject({ id: z.string() }) }),
      receipt,
    );
    assert.deepEqual([verified.kind, verified.device.id], ['verified', id]);
    const bytes = await readFile(at('receipt.json'), 'latin1');
    const middle = Math.floor(bytes.length / 2);
    const changed = bytes[middle] === 'A' ? 'B' : 'A';
    await writeFile(at('changed.json'), bytes.slice(0, middle) + changed + bytes.slice(middle + 1));
    assert.notEqual((await edgekeep(receipt.with(2, at('changed.json')))).code, 0);
  });

  test('an operator sees the device, cuts it off, lets it back and retires it', async () => {
    const devices = await edgekeepJson(z.array(deviceView), ['device', 'list'], operator());
    assert.deepEqual(
      devices.map((device) => [device.id, device.state, device.online, device.appraisal?.status]),
      [[id, 'active', true, 'affirming']],
    );
    const show = () => edgekeepJson(deviceDetail, ['device', 'show', id], operator());
    assert.equal((await show()).leases[0]?.model, name);
    const order = (verb: string) => ['device', verb, id, '--reason', 'a test'];
    const cut = await edgekeepJson(stateResponse, order('quarantine'), operator());
    assert.deepEqual([cut.state, cut.connectionsClosed], ['quarantined', 1]);
    assert.equal((await show()).state, 'quarantined');
    await agent?.told(({ kind }) => kind === 'locked', 'the model is locked');
    assert.equal((await edgekeepJson(stateResponse, order('release'), operator())).state, 'active');
    await until(() => agent?.lines.filter(({ kind }) => kind === 'serving').length === 2, 'it serves again');
    assert.equal((await edgekeepJson(stateResponse, order('retire'), operator())).state, 'retired');
    assert.equal((await edgekeep(order('release'), operator())).code, 1, 'there is no way back');
    assert.equal((await edgekeep('device', 'show', 'nobody', operator())).code, 3);
  });

  test('an agent that gets SIGTERM ends well, and doctor then finds the TPM', async () => {
    assert.equal(await agent?.stop(), 0);
    const finding = z.looseObject({ subject: z.string(), state: z.string() });
    const { findings } = await edgekeepJson(z.object({ findings: z.array(finding) }), ['doctor', '--tpm', tpm]);
    assert(
      findings.some(({ subject, state }) => /tpm/i.test(subject) && state === 'ok'),
      JSON.stringify(findings),
    );
  });

  test('an API token with one scope does that and nothing else', async () => {
    const create = ['token', 'create', '--name', 'reader', '--scope', 'devices:read'];
    const { token } = await edgekeepJson(createdToken, create, operator());
    const own: object = JSON.parse(await readFile(at('hub/operator.json'), 'utf8'));
    await writeFile(at('reader.json'), JSON.stringify({ ...own, token }), { mode: 0o600 });
    assert.equal((await edgekeep('device', 'list', '--operator', at('reader.json'))).code, 0);
    const refused = await edgekeep('enroll', 'token', '--operator', at('reader.json'), '--json');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /"code":"scope-missing"/);
    await writeFile(
      at('reader.json'),
      JSON.stringify({ ...own, token: `${token.slice(0, -1)}${token.endsWith('A') ? 'E' : 'A'}` }),
    );
    assert.equal((await edgekeep('device', 'list', '--operator', at('reader.json'))).code, 1);
  });

  test('wrong words are 2, a broken operator file is 3, a hub that is gone is 4', async () => {
    for (const words of [
      ['no', 'such', 'verb'],
      ['device', 'show'],
      ['device', 'list', '--nonsense'],
      ['model', 'publish', model],
    ]) {
      assert.equal((await edgekeep(words, words[0] === 'no' ? [] : operator())).code, 2, words.join(' '));
    }
    await writeFile(at('broken.json'), '{"url":"https://localhost"}');
    assert.equal((await edgekeep('device', 'list', '--operator', at('broken.json'))).code, 3);
    assert.equal(await hub?.stop(), 0);
    const gone = await edgekeep('device', 'list', operator(), '--json');
    assert.equal(gone.code, 4);
    assert.match(gone.stderr, /"code":"unreachable"/);
    assert.equal(gone.stdout, gone.stderr);
  });
});
