// A proxy that inspects TLS is between a real hub and its clients: the command line and the agent name it, show no token, and go on as
// soon as the way is free.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { httpsUrl } from '@edgekeep/core/canonical/endpoint';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { TlsInterceptor } from '@edgekeep/wire/link/other-end/testing-interceptor';
import { makeTestAuthority } from '@edgekeep/wire/link/testing-authority';
import { z } from 'zod';
import { edgekeep, edgekeepJson } from './main-job/edgekeep.ts';
import { openFalseHub } from './support/false-hub.ts';
import { HubWorld } from './support/hub-world.ts';
import { TestAgent } from './support/test-agent.ts';

const skip = await skipWithout('openssl');
let world: HubWorld;
before(async () => {
  world = await HubWorld.open();
});
after(() => world?.[Symbol.asyncDispose]());

const errorLine = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** What `device list` says of the port, with its exit code. */
async function said(port: number): Promise<{ exitCode: number | null; code: string; message: string }> {
  const file = join(world.folder, 'other.json');
  const own: object = JSON.parse(await readFile(world.operatorFile, 'utf8'));
  await writeFile(file, JSON.stringify({ ...own, url: httpsUrl({ host: '127.0.0.1', port }) }), { mode: 0o600 });
  const { code: exitCode, stderr } = await edgekeep('device', 'list', '--operator', file, '--json');
  const { error } = errorLine.parse(JSON.parse(stderr));
  return { exitCode, ...error };
}

// SECURITY.md: NET-15
test('the command line names a proxy that ends TLS, with exit code 7, and shows it no token', { skip }, async () => {
  await using proxy = await TlsInterceptor.open(world.hub.operatorAddress.port);
  const { exitCode, code, message } = await said(proxy.port);
  assert.deepEqual([exitCode, code], [7, 'tls-intercepted'], message);
  assert.match(message, /^the hub is not at https:\/\/127\.0\.0\.1:\d+: somebody between ends TLS/);
  assert.match(message, /subject "CN=localhost", issuer "O=Corp, CN=Corp TLS \?\?Inspection\?\? CA"/);
  assert.match(message, /has to pass this address unopened.*No request and no token was sent/);
  assert.deepEqual(proxy.read, []);
});

test('another hub and a captive portal have codes and exit codes of their own', async () => {
  const other = await makeTestAuthority('another hub');
  await using hub = await openFalseHub(other.server);
  const { exitCode, code, message } = await said(hub.port);
  assert.deepEqual([exitCode, code], [4, 'other-server'], message);
  assert.deepEqual(hub.heard, []);
  await using portal = createServer((_, response) =>
    response.writeHead(302, { location: 'http://login.example/' }).end(),
  );
  portal.listen(0, '127.0.0.1');
  await once(portal, 'listening');
  const address = portal.address();
  const answer = await said(typeof address === 'object' ? (address?.port ?? 0) : 0);
  assert.deepEqual([answer.exitCode, answer.code], [7, 'captive-portal'], answer.message);
  assert.match(answer.message, /wants a login first, at http:\/\/login\.example\//);
});

const settingsAt = (port: number) => ({
  hub: { host: '127.0.0.1', port, serverName: 'localhost', caFile: 'hub-ca.pem' },
});
const findingList = z.object({
  findings: z.array(
    z.looseObject({ subject: z.string(), state: z.string(), found: z.string(), next: z.string().optional() }),
  ),
});

/** What `doctor --state` says of the hub. */
async function examined(stateFolder: string) {
  const { findings } = await edgekeepJson(findingList, 'doctor', '--state', stateFolder);
  const found = findings.find(({ subject }) => subject === 'hub');
  assert.ok(found !== undefined, JSON.stringify(findings));
  return found;
}

// SECURITY.md: NET-15
test('the agent has an event for it, once, and connects as soon as the way is free', { skip }, async () => {
  await using agent = await TestAgent.prepare(world, 'press-1', { checkinSeconds: 0.2, maxReconnectSeconds: 0.2 });
  const { deviceAddress } = world.hub;
  {
    await using proxy = await TlsInterceptor.open(deviceAddress.port);
    const story = await agent.start({}, { host: '127.0.0.1', port: proxy.port });
    const { code, why } = await story.next('tls-intercepted');
    assert.equal(code, 'tls-intercepted');
    assert.match(why, /^127\.0\.0\.1:\d+: somebody between ends TLS.*issuer "O=Corp, CN=Corp TLS/);
    const { why: reason, hubFailure } = agent.agent.status();
    assert.match(reason, /somebody between ends TLS/);
    assert.equal(hubFailure, 'tls-intercepted');
    await writeFile(join(agent.stateFolder, 'agent.json'), JSON.stringify(settingsAt(proxy.port)));
    const found = await examined(agent.stateFolder);
    assert.equal(found.state, 'failed');
    assert.equal(found.found, 'not reached: tls-intercepted');
    assert.match(found.next ?? '', /issuer "O=Corp, CN=Corp TLS/);
    assert.deepEqual(proxy.read, []);
    await agent.stop();
  }
  const story = await agent.start();
  await story.next('enrolled');
  await story.next('connected');
  await writeFile(join(agent.stateFolder, 'agent.json'), JSON.stringify(settingsAt(deviceAddress.port)));
  assert.equal((await examined(agent.stateFolder)).state, 'ok');
  assert.equal(agent.agent.status().hubFailure, null);
});
