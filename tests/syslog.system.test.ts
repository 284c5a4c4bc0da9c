// Alerts reach a real syslog server (spec/syslog.md): Debian's rsyslog, over TLS with certificates on both sides.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { defaultPolicyText, everyAttestedTpmPolicyText } from '@edgekeep/core/policy/built-in';
import { eventCursorList } from '@edgekeep/wire/api/event';
import { policyView } from '@edgekeep/wire/api/policy';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { makeTestAuthority } from '@edgekeep/wire/link/testing-authority';
import { closeAll } from './support/closing.ts';
import { HubWorld } from './support/hub-world.ts';
import { Rsyslog } from './support/rsyslog.ts';

const skip = await skipWithout('rsyslogd');
let folder: string;
let server: Rsyslog;
let world: HubWorld;
before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-syslog-'));
  const authority = await makeTestAuthority('syslog', ['localhost']);
  const place = async (name: string, pem: string) => {
    await writeFile(join(folder, name), pem, { mode: 0o600 });
    return join(folder, name);
  };
  server = await Rsyslog.make(authority);
  const caFile = await place('ca.pem', authority.authorityPem);
  const shared = { host: 'localhost', port: server.port, caFile };
  const own = {
    certificateFile: await place('cert.pem', authority.device.certificateChainPem),
    keyFile: await place('key.pem', authority.device.privateKeyPem),
  };
  const servers = [
    { ...shared, ...own, name: 'siem' },
    { ...shared, name: 'stranger' },
  ];
  world = await HubWorld.open({
    policyText: defaultPolicyText,
    settings: {
      names: ['hub.plant.example'],
      syslog: { enterpriseNumber: 99_999, servers },
      events: { pollMilliseconds: 20 },
      alerts: { policyGivesAllKeys: true },
    },
  });
});
after(async () => {
  if (skip !== false) return;
  await closeAll(world, server);
  await rm(folder, { recursive: true });
});

async function changePolicy(): Promise<void> {
  for (const text of [everyAttestedTpmPolicyText, defaultPolicyText])
    await world.operator.send('PUT', '/v1/policy', { text }, policyView);
}

const cursor = async (name: string) =>
  (await world.operator.get('/v1/event-cursors', eventCursorList)).cursors.find((each) => each.name === name);
async function failing(name: string): Promise<string> {
  for (;;) {
    const { problem } = (await cursor(name)) ?? {};
    if (problem !== undefined && problem !== null) return problem;
  }
}

test(
  'what happens while the server is away arrives when it is there, in order, as RFC 5424 writes it',
  { skip },
  async () => {
    while ((await cursor('syslog-siem')) === undefined);
    await changePolicy();
    assert.match(await failing('syslog-siem'), /ECONNREFUSED/);
    server.start();
    const [raised = '', closed = ''] = await server.lines(2);
    assert.match(
      closed,
      /^134\|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)\|hub\.plant\.example\|edgekeep\|-\|alert-closed\|\[origin software="edgekeep"\]\[edgekeep@99999 event="\d+" alert="\d+" change="closed" kind="policy-gives-all-keys" severity="low" subject="[^"]+" actor="[^"]+"\]\|\ufeff?alert \d+ closed: low policy-gives-all-keys /,
    );
    assert.match(raised, /^133\|.*\|alert-raised\|.*alert \d+ raised: low policy-gives-all-keys /);
  },
);

test('a server that is started again gets what it missed, each once', { skip }, async () => {
  await server.stop();
  await changePolicy();
  await failing('syslog-siem');
  server.start();
  const lines = await server.lines(4);
  const events = lines.map((line) => /event="(\d+)"/.exec(line)?.[1]);
  assert.equal(new Set(events).size, 4);
});

// SECURITY.md: HUB-117
test(
  'a server that refuses the hub, because it shows no certificate, has taken nothing: the cursor waits',
  { skip },
  async () => {
    assert.notEqual(await failing('syslog-stranger'), '');
    assert.equal((await server.lines(4)).length, 4);
    const { position = 0, lagEntries = 0 } = (await cursor('syslog-stranger')) ?? {};
    assert.ok(lagEntries > 0 && position < ((await cursor('syslog-siem'))?.position ?? 0));
  },
);
