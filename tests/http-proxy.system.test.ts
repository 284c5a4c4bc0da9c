// The way to the hub through a real HTTP proxy, for an agent, the command line and the doctor (spec/http-proxy.md).
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { promisify } from 'node:util';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { z } from 'zod';
import { HubWorld } from './support/hub-world.ts';
import { TestAgent } from './support/test-agent.ts';
import { startTinyproxy, type Tinyproxy } from './support/tinyproxy.ts';

const skip = await skipWithout('tinyproxy');
const program = join(import.meta.dirname, '../cli/src/main.ts');
const run = promisify(execFile);
const user = 'press-7';
const password = 'correct-horse';
const report = z.object({
  findings: z.array(
    z.object({ subject: z.string(), state: z.string(), found: z.string(), next: z.string().optional() }),
  ),
});

suite('through a real proxy', { skip }, () => {
  let world: HubWorld;
  let proxy: Tinyproxy;
  let url: string;
  before(async () => {
    world = await HubWorld.open();
    const ports = [world.hub.deviceAddress, world.hub.operatorAddress].map(({ port }) => `ConnectPort ${port}`);
    proxy = await startTinyproxy([`BasicAuth ${user} ${password}`, ...ports]);
    url = `http://127.0.0.1:${proxy.port}`;
  });
  after(async () => {
    await proxy?.[Symbol.asyncDispose]();
    await world?.[Symbol.asyncDispose]();
  });

  async function deviceWith(id: string, credentials: string | undefined): Promise<TestAgent> {
    const named = credentials === undefined ? {} : { credentialsFile: 'proxy-credentials' };
    const device = await TestAgent.prepare(world, id, { proxy: { url, ...named } });
    const file = join(device.stateFolder, 'proxy-credentials');
    if (credentials !== undefined) await writeFile(file, `${credentials}\n`, { mode: 0o600 });
    return device;
  }

  /** One verb of the command line in a process of its own, with this environment alone. */
  async function edgekeep(environment: Readonly<Record<string, string>>, ...words: readonly string[]) {
    const env = { PATH: process.env['PATH'] ?? '', HOME: world.folder, ...environment };
    return run(process.execPath, [program, ...words, '--operator', world.operatorFile], { env }).then(
      ({ stdout, stderr }) => ({ status: 0, out: stdout, err: stderr }),
      (error: { code: number; stdout: string; stderr: string }) => ({
        status: error.code,
        out: error.stdout,
        err: error.stderr,
      }),
    );
  }

  test('a device enrolls, attests and is quarantined through it, and says which proxy it uses', async () => {
    await using device = await deviceWith('press-1', `${user}:${password}`);
    const story = await device.start();
    assert.deepEqual(pick(await story.next('proxy')), { proxy: url, from: 'agent.json' });
    await story.next('enrolled');
    await story.next('connected');
    await story.next('attested');
    assert.equal(device.agent.status().proxy, url);
    assert.match(proxy.log(), new RegExp(`CONNECT 127\\.0\\.0\\.1:${world.hub.deviceAddress.port} HTTP/1\\.1`));
    // The hub cuts the connection at once, which ends the tunnel.
    await world.operator.send('POST', '/v1/devices/press-1/quarantine', { reason: 'test' }, z.unknown());
    assert.match((await story.next('disconnected')).why, /through the proxy http:/);
  });

  test('missing and wrong credentials, and a hub that the proxy does not allow, are different refusals', async () => {
    for (const [id, credentials, code] of [
      ['press-2', undefined, 'proxy-credentials-required'],
      ['press-3', `${user}:wrong`, 'proxy-credentials-refused'],
    ] as const) {
      await using device = await deviceWith(id, credentials);
      const story = await device.start();
      const failed = await story.next('proxy-failed');
      assert.equal(failed.code, code);
      assert.doesNotMatch(JSON.stringify(story.events), /wrong|correct-horse/);
    }
    await using closed = await startTinyproxy(['ConnectPort 1']);
    await using device = await TestAgent.prepare(world, 'press-4', {
      proxy: { url: `http://127.0.0.1:${closed.port}` },
    });
    const { code, why } = await (await device.start()).next('proxy-failed');
    assert.equal(code, 'proxy-refused');
    assert.match(why, /it answered "403 Access violation"/);
  });

  test('a new password counts without a restart, and a file that others can read does not', async () => {
    await using device = await deviceWith('press-5', `${user}:old`);
    const story = await device.start();
    await story.next('proxy-failed');
    const file = join(device.stateFolder, 'proxy-credentials');
    await chmod(file, 0o644);
    assert.match((await story.next('hub-unreachable')).why, /proxy-credentials: other users may read or change it/);
    await writeFile(file, `${user}:${password}`);
    await chmod(file, 0o600);
    await story.next('enrolled');
  });

  test('without the setting the environment of an agent does not count, and it says so', async (t) => {
    process.env['https_proxy'] = url;
    t.after(() => delete process.env['https_proxy']);
    await using device = await TestAgent.prepare(world, 'press-6');
    const story = await device.start();
    assert.equal((await story.next('proxy-ignored')).variable, 'https_proxy');
    await story.next('enrolled');
    await using asked = await TestAgent.prepare(world, 'press-7', { proxy: { fromEnvironment: true } });
    const told = await asked.start();
    assert.equal((await told.next('proxy')).from, 'https_proxy');
    assert.equal((await told.next('proxy-failed')).code, 'proxy-credentials-required');
  });

  test('the command line goes where HTTPS_PROXY and NO_PROXY say, with credentials from URL or file', async () => {
    const inUrl = `http://${user}:${password}@127.0.0.1:${proxy.port}`;
    const credentials = join(world.folder, 'credentials');
    await writeFile(credentials, `${user}:${password}\n`, { mode: 0o600 });
    const tunnels = () => proxy.log().match(/Established connection to host/g)?.length ?? 0;
    for (const [environment, through] of [
      [{ HTTPS_PROXY: inUrl }, true],
      [{ https_proxy: url, EDGEKEEP_PROXY_CREDENTIALS: credentials }, true],
      [{ ALL_PROXY: inUrl, NO_PROXY: 'hub.example, 10.0.0.0/8' }, true],
      [{ HTTPS_PROXY: inUrl, NO_PROXY: 'x,127.0.0.0/8' }, false],
      [{ https_proxy: '', HTTP_PROXY: inUrl, http_proxy: inUrl }, false],
    ] as const) {
      const already = tunnels();
      const { status, err } = await edgekeep(environment, 'device', 'list');
      assert.equal(status, 0, err);
      assert.equal(tunnels() > already, through, JSON.stringify(Object.keys(environment)));
    }
    const wrong = await edgekeep(
      { HTTPS_PROXY: `http://${user}:nonsense@127.0.0.1:${proxy.port}` },
      'device',
      'list',
      '--json',
    );
    assert.equal(wrong.status, 4);
    assert.match(wrong.err, /"code":"proxy-credentials-refused"/);
    assert.match(wrong.err, /from the environment variable HTTPS_PROXY/);
    assert.doesNotMatch(wrong.err, /nonsense/);
  });

  test('the operator file comes before the environment', async () => {
    const original = await readFile(world.operatorFile, 'utf8');
    const file: unknown = JSON.parse(original);
    assert.ok(typeof file === 'object' && file !== null);
    const nowhere = { HTTPS_PROXY: 'http://127.0.0.1:1' };
    try {
      await writeFile(world.operatorFile, JSON.stringify({ ...file, proxy: 'none' }));
      assert.equal((await edgekeep(nowhere, 'device', 'list')).status, 0);
      await writeFile(world.operatorFile, JSON.stringify({ ...file, proxy: { url } }));
      assert.match(
        (await edgekeep(nowhere, 'device', 'list')).err,
        /proxy-credentials-required.*from the operator file/s,
      );
      await writeFile(world.operatorFile, JSON.stringify({ ...file, proxy: { url: `http://a:b@127.0.0.1:1` } }));
      const refused = await edgekeep({}, 'device', 'list');
      assert.match(refused.err, /credentialsFile/);
      assert.doesNotMatch(refused.err, /a:b/);
    } finally {
      await writeFile(world.operatorFile, original);
    }
  });

  test('the doctor says which proxy is used and tries it', async () => {
    const proxyOf = async (environment: Readonly<Record<string, string>>, ...words: readonly string[]) => {
      const { out, err } = await edgekeep(environment, 'doctor', '--json', ...words);
      const { findings } = report.parse(JSON.parse(out === '' ? err : out));
      return findings.filter(({ subject }) => subject === 'proxy');
    };
    const direct = await proxyOf({});
    assert.deepEqual(
      direct.map(({ state }) => state),
      ['ok'],
    );
    assert.match(direct[0]?.found ?? '', /^none: 127\.0\.0\.1:\d+ is reached directly$/);
    const [good] = await proxyOf({ HTTPS_PROXY: `http://${user}:${password}@127.0.0.1:${proxy.port}` });
    assert.equal(good?.state, 'ok');
    assert.match(good.found, /^http:\/\/127\.0\.0\.1:\d+, from the environment variable HTTPS_PROXY: it connects to/);
    const [bad] = await proxyOf({ HTTPS_PROXY: url });
    assert.equal(bad?.state, 'failed');
    assert.match(bad.found, /proxy-credentials-required$/);
    await using device = await deviceWith('press-8', `${user}:${password}`);
    const { host, port } = world.hub.deviceAddress;
    const settings = { hub: { host, port }, proxy: { url, credentialsFile: 'proxy-credentials' } };
    await writeFile(join(device.stateFolder, 'agent.json'), JSON.stringify(settings));
    const [ofAgent] = await proxyOf({}, '--state', device.stateFolder);
    assert.equal(ofAgent?.state, 'ok', ofAgent?.next);
    assert.match(ofAgent.found, new RegExp(`from .*agent\\.json: it connects to 127\\.0\\.0\\.1:${port}$`));
  });
});

function pick({ proxy, from }: { readonly proxy: string; readonly from: string }) {
  return { proxy, from };
}
