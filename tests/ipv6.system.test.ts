// A hub whose listeners are all at ::1, and every kind of client: command line, agent, curl, openssl, a gateway with EST, an auditor; then one at
// `::`, which both families reach.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startAgent } from '@edgekeep/agent/start-agent';
import { readAgentSettings } from '@edgekeep/agent/settings';
import { encodeVerifierKey } from '@edgekeep/core/audit/note';
import { endpointText, httpsUrl } from '@edgekeep/core/canonical/endpoint';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { z } from 'zod';
import { edgekeep, edgekeepJson } from './main-job/edgekeep.ts';
import { HubWorld } from './support/hub-world.ts';
import { runProgram } from './support/run-program.ts';
import { allowSoftware, Story, TestAgent } from './support/test-agent.ts';

const isThere = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
const skip = isThere ? await skipWithout('curl', 'openssl') : 'this machine has no ::1';
const main = join(import.meta.dirname, '../cli/src/main.ts');
const kitFile = z.object({ hub: z.object({ host: z.string(), port: z.number(), serverName: z.string() }) });
const withUrl = z.object({ url: z.string(), serverName: z.string() });

const readKit = async (folder: string) =>
  kitFile.parse(JSON.parse(await readFile(join(folder, 'agent.json'), 'utf8'))).hub;

describe('a hub whose listeners are at ::1', { skip }, () => {
  let world: HubWorld;
  let folder = '';

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'edgekeep-ipv6-'));
    const listener = { host: '0:0:0:0:0:0:0:1', port: 0 };
    world = await HubWorld.open({
      settings: {
        device: listener,
        operator: listener,
        estForGateways: { ...listener, enabled: true },
        names: ['[0::1]', 'hub.example'],
      },
    });
    await writeFile(join(folder, 'root.pem'), world.hub.rootPem);
    await allowSoftware(world);
  });
  after(async () => {
    await world?.[Symbol.asyncDispose]();
    if (folder !== '') await rm(folder, { recursive: true });
  });

  const run = (program: string, ...args: readonly string[]) => runProgram(folder, program, ...args);
  const online = () => ['--operator', world.operatorFile];

  test('the operator file has its address in brackets, and the verbs reach it', async () => {
    const { url, serverName } = withUrl.parse(JSON.parse(await readFile(world.operatorFile, 'utf8')));
    assert.match(url, /^https:\/\/\[::1\]:\d+$/);
    assert.equal(serverName, '::1');
    assert.equal((await edgekeep('device', 'list', online())).code, 0);
    assert.equal((await edgekeep('hub', 'jobs', online())).code, 0);
    // By the address alone, and in the form of the version before.
    const file = join(folder, 'operator.json');
    const { serverName: _, ...own } = z
      .looseObject(withUrl.shape)
      .parse(JSON.parse(await readFile(world.operatorFile, 'utf8')));
    for (const written of [url, `${url}/`, url.replaceAll(/[[\]]/g, ''), url.replace('::1', '0:0:0:0:0:0:0:1')]) {
      await writeFile(file, JSON.stringify({ ...own, url: written }), { mode: 0o600 });
      const { code, stderr } = await edgekeep('device', 'list', '--operator', file);
      assert.equal(code, 0, `${written}: ${stderr}`);
    }
  });

  test('a kit leads an agent there: it enrolls, attests and gets a model', async () => {
    await world.publishModel('weights', '1.0.0', 'some weights');
    const kit = join(folder, 'press-1');
    const made = await edgekeep('enroll', 'kit', 'press-1', '--out', kit, '--model', 'weights', '--software', online());
    assert.equal(made.code, 0, made.stderr);
    const { port } = world.hub.deviceAddress;
    assert.deepEqual(await readKit(kit), { host: '::1', port, serverName: '::1' });
    const story = new Story();
    const agent = await startAgent(await readAgentSettings(kit), { onEvent: story.observe });
    try {
      await story.next('enrolled');
      await story.next('connected');
      await story.next('attested');
      assert.equal((await story.next('ready')).model, 'weights');
    } finally {
      await agent[Symbol.asyncDispose]();
    }
    const devices = await edgekeepJson(z.array(z.looseObject({ id: z.string() })), 'device', 'list', online());
    assert.deepEqual(
      devices.map(({ id }) => id),
      ['press-1'],
    );
  });

  test('a kit takes another address with a port, and none that only this machine has', async () => {
    const kit = (out: string, hub: string) =>
      edgekeep('enroll', 'kit', 'press-2', '--out', join(folder, out), '--software', '--hub', hub, online());
    assert.equal((await kit('other', '[2001:DB8::5]:443')).code, 0);
    assert.deepEqual(await readKit(join(folder, 'other')), { host: '2001:db8::5', port: 443, serverName: '::1' });
    for (const [hub, words] of [
      ['::', /a listener has this address/],
      ['0.0.0.0:8443', /a listener has this address/],
      ['fe80::1%eth0', /only the device knows/],
      ['10.0.0.300', /"10\.0\.0\.300": an IPv4 address has four numbers/],
      ['2001:db8::5]:443', /in brackets/],
    ] as const) {
      const { code, stderr } = await kit('never', hub);
      assert.equal(code, 2, hub);
      assert.match(stderr, words);
    }
    const script = join(folder, 'press-3.sh');
    const words = ['enroll', 'package', 'press-3', '--out', script, '--software', '--hub', '[2001:db8::5]:443'];
    assert.equal((await edgekeep(words, online())).code, 0);
    const state = join(folder, 'press-3');
    assert.equal((await run('sh', script, '--state', state)).status, 0);
    assert.deepEqual(await readKit(state), { host: '2001:db8::5', port: 443, serverName: '::1' });
  });

  test('curl and openssl find the address in the certificates, as octets, and are sent no other name', async () => {
    const { deviceAddress, operatorAddress, estAddress } = world.hub;
    const document = `${httpsUrl(operatorAddress)}/openapi.json`;
    const asked = await run(
      'curl',
      '-sS',
      '--cacert',
      'root.pem',
      '-o',
      'document.json',
      '-w',
      '%{http_code}',
      document,
    );
    assert.deepEqual([asked.status, asked.out], [0, '200'], asked.out);
    for (const listener of [deviceAddress, operatorAddress, estAddress]) {
      assert.ok(listener !== undefined);
      const words = ['s_client', '-connect', endpointText(listener), '-CAfile', 'root.pem', '-verify_return_error'];
      const { status, out } = await run('openssl', ...words, '-verify_ip', '::1');
      assert.equal(status, 0, out);
      assert.match(out, /Verify return code: 0 \(ok\)/);
      assert.notEqual((await run('openssl', ...words, '-verify_ip', '::2')).status, 0);
    }
    const place = endpointText(operatorAddress);
    const shown = await run(
      'sh',
      '-c',
      `openssl s_client -connect '${place}' < /dev/null 2> /dev/null | openssl x509 -noout -ext subjectAltName`,
    );
    assert.match(
      shown.out,
      /IP Address:0:0:0:0:0:0:0:1, DNS:hub\.example|DNS:hub\.example, IP Address:0:0:0:0:0:0:0:1/,
    );
  });

  test('a gateway with TLS 1.2 gets the certificates of EST there', async () => {
    const { estAddress } = world.hub;
    assert.ok(estAddress !== undefined);
    const url = `${httpsUrl(estAddress)}/.well-known/est/cacerts`;
    const { status, out } = await run('curl', '-sS', '-f', '--tls-max', '1.2', '--cacert', 'root.pem', url);
    assert.equal(status, 0, out);
    assert.match(out, /^MI/);
  });

  test('the attestation door of a device is at ::1 too', async () => {
    const request = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'];
    const names = ['-subj', '/CN=press-9', '-addext', 'subjectAltName=IP:::1'];
    await run('openssl', 'req', '-x509', ...request, ...names, '-keyout', 'door.key', '-out', 'door.pem');
    const files = { certificateFile: join(folder, 'door.pem'), keyFile: join(folder, 'door.key') };
    await using agent = await TestAgent.prepare(world, 'press-9', { attestDoor: { host: '[::1]', port: 0, ...files } });
    const story = await agent.start({}, world.hub.deviceAddress, '::1');
    await story.next('attested');
    const { attestPort: port = 0 } = agent.agent;
    const url = `${httpsUrl({ host: '::1', port })}/attest?nonce=${'ab'.repeat(32)}`;
    const { status, out } = await run('curl', '-sS', '-f', '--cacert', 'door.pem', url);
    assert.equal(status, 0, out);
    assert.match(out, /^\{"/);
  });

  test('an auditor verifies the log by its URL', async () => {
    await world.integrated();
    const url = `${httpsUrl(world.hub.operatorAddress)}/log`;
    const key = encodeVerifierKey(world.hub.logKey);
    const words = [process.execPath, main, 'audit', 'verify', url, '--key', key, '--hashes-only', '--json'];
    const { status, out } = await run('env', 'NODE_EXTRA_CA_CERTS=root.pem', ...words);
    assert.equal(status, 0, out);
    assert.match(out, /"verified"/);
  });
});

test('a hub at :: serves both families, and its address is in no operator file and in no kit', { skip }, async () => {
  const listener = { host: '::', port: 0 };
  await using world = await HubWorld.open({
    settings: { device: listener, operator: listener, names: ['*.edge.example', '::', '::1', '127.0.0.1'] },
  });
  const { port } = world.hub.operatorAddress;
  const own = z.looseObject(withUrl.shape).parse(JSON.parse(await readFile(world.operatorFile, 'utf8')));
  assert.equal(own.serverName, '::1');
  for (const host of ['::1', '127.0.0.1']) {
    await writeFile(world.operatorFile, JSON.stringify({ ...own, url: httpsUrl({ host, port }), serverName: host }));
    const { code, stderr } = await edgekeep('device', 'list', '--operator', world.operatorFile);
    assert.equal(code, 0, stderr);
  }
  const kit = join(world.folder, 'press-1');
  const made = await edgekeep('enroll', 'kit', 'press-1', '--out', kit, '--software', '--operator', world.operatorFile);
  assert.equal(made.code, 0, made.stderr);
  assert.deepEqual(await readKit(kit), { host: '::1', port: world.hub.deviceAddress.port, serverName: '::1' });
  // A device by IPv4 has that address at the hub, not one that is mapped into IPv6.
  const file = join(kit, 'agent.json');
  const settings = z.looseObject({ hub: z.looseObject({}) }).parse(JSON.parse(await readFile(file, 'utf8')));
  await writeFile(
    file,
    JSON.stringify({ ...settings, hub: { ...settings.hub, host: '127.0.0.1', serverName: '127.0.0.1' } }),
  );
  const story = new Story();
  const agent = await startAgent(await readAgentSettings(kit), { onEvent: story.observe });
  try {
    await story.next('connected');
    assert.match(JSON.stringify(await world.device('press-1')), /"address":"127\.0\.0\.1"/);
  } finally {
    await agent[Symbol.asyncDispose]();
  }
});

const linkLocal = Object.entries(networkInterfaces())
  .flatMap(([name, all = []]) => all.map(({ address }) => ({ name, address })))
  .find(({ address }) => address.startsWith('fe80:'));
const withoutLinkLocal = linkLocal === undefined ? 'no interface of this machine has a link-local address' : false;

test(
  'a hub at a link-local address is reached by the name of the interface, which gets into no certificate',
  { skip: withoutLinkLocal },
  async () => {
    const { name = '', address = '' } = linkLocal ?? {};
    const listener = { host: `${address}%25${name}`, port: 0 };
    await using world = await HubWorld.open({
      settings: { device: listener, operator: listener, names: [address] },
    });
    const { url } = withUrl.parse(JSON.parse(await readFile(world.operatorFile, 'utf8')));
    assert.equal(url, `https://[${address}%${name}]:${world.hub.operatorAddress.port}`);
    const { code, stderr } = await edgekeep('device', 'list', '--operator', world.operatorFile);
    assert.equal(code, 0, stderr);
    await using agent = await TestAgent.prepare(world, 'press-1');
    const story = await agent.start({}, world.hub.deviceAddress, address);
    await story.next('connected');
    assert.match(JSON.stringify(await world.device('press-1')), new RegExp(`"address":"${RegExp.escape(address)}"`));
  },
);

test('hub init at all addresses writes the loopback address of that family for this machine', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-everywhere-'));
  try {
    for (const [host, url] of [
      ['::', 'https://[::1]:8444'],
      ['0.0.0.0', 'https://127.0.0.1:8444'],
      ['[2001:DB8::5]', 'https://[2001:db8::5]:8444'],
    ] as const) {
      const data = join(folder, host.replaceAll(/\W/g, '_'));
      const settings = JSON.stringify({ operator: { host }, names: ['*.edge.example', 'hub.example'] });
      const { code, stderr } = await edgekeep('hub', 'init', '--data', data, '--settings', settings);
      assert.equal(code, 0, stderr);
      const file = withUrl.parse(JSON.parse(await readFile(join(data, 'operator.json'), 'utf8')));
      assert.deepEqual(file, { url, serverName: 'hub.example' });
    }
    const wrong = JSON.stringify({ device: { host: '10.0.0.300' } });
    const { code, stderr } = await edgekeep('hub', 'init', '--data', join(folder, 'wrong'), '--settings', wrong);
    assert.equal(code, 3);
    assert.match(stderr, /settings-invalid: .*device\.host: "10\.0\.0\.300": an IPv4 address has four numbers/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
