import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeHubSettings, parseHubSettings } from '../settings.ts';
import { type Ask, withIdentity } from './identity-settings.ts';
import { initWarnings, nextText } from './init-text.ts';

/** A person who gives these answers, and the questions that were asked. */
function personWith(...answers: readonly string[]) {
  const asked: string[] = [];
  const ask: Ask = async (question) => {
    asked.push(question);
    return answers[asked.length - 1] ?? '';
  };
  return { ask, asked };
}
const identity = async (given: Readonly<Record<string, unknown>>, ask?: Ask) => {
  const { logOrigin, names, workloads } = parseHubSettings(await withIdentity(given, ask), 'test');
  return { names, logOrigin, trustDomain: workloads.trustDomain };
};

test('the log and the trust domain have the first name of the hub that others know, a DNS name before an address', async () => {
  const of = async (...names: readonly string[]) => {
    const { logOrigin, trustDomain } = await identity({ names });
    return [logOrigin, trustDomain];
  };
  assert.deepEqual(await of('hub.example.net'), ['hub.example.net/log', 'hub.example.net']);
  assert.deepEqual(await of('localhost', '10.0.4.2', '*.example.net', 'HUB.example.net'), [
    'hub.example.net/log',
    'hub.example.net',
  ]);
  assert.deepEqual(await of('10.0.4.2', '127.0.0.1'), ['10.0.4.2/log', '10.0.4.2']);
  assert.deepEqual(await of('2001:db8::5'), ['2001:db8::5/log', '2001-db8--5']);
  assert.deepEqual(await of('localhost', '127.0.0.1', '::1'), ['edgekeep.local/log', 'edgekeep.local']);
});

test('what somebody chose stays, and hub.json has only what differs from the defaults', async () => {
  const given = { names: ['hub.example.net'], logOrigin: 'plant/log', workloads: { certificateSeconds: 3_600 } };
  const settings = await withIdentity(given, undefined);
  assert.deepEqual(JSON.parse(encodeHubSettings(parseHubSettings(settings, 'test'))), {
    names: ['hub.example.net'],
    logOrigin: 'plant/log',
    workloads: { trustDomain: 'hub.example.net', certificateSeconds: 3_600 },
  });
  assert.deepEqual(JSON.parse(encodeHubSettings(parseHubSettings(await withIdentity({}, undefined), 'test'))), {});
});

test('a person who gave no name is asked for it and for what follows from it, and again after a name that is none', async () => {
  const person = personWith('not a name', 'hub.example.net', '', 'plant.example');
  assert.deepEqual(await identity({}, person.ask), {
    names: ['hub.example.net'],
    logOrigin: 'hub.example.net/log',
    trustDomain: 'plant.example',
  });
  assert.deepEqual(person.asked.length, 4);
  assert.match(person.asked[2] ?? '', /cannot be changed later \(empty: hub\.example\.net\/log\)/);
  const silent = personWith();
  assert.deepEqual((await identity({}, silent.ask)).logOrigin, 'edgekeep.local/log');
  const named = personWith();
  await identity({ names: ['hub.example.net'] }, named.ask);
  assert.deepEqual(named.asked, []);
});

test('a hub without a name is warned of, because its log has the name of every such hub, and keeps it', () => {
  const warned = (given: object) => initWarnings('hub', parseHubSettings(given, 'test'), ['passphrase']);
  assert.match(warned({}).join(), /edgekeep\.local\/log, which cannot be changed later/);
  assert.match(warned({ names: ['::1'] }).join(), /edgekeep\.local\/log, which cannot be changed later/);
  const device = { host: '0.0.0.0' };
  assert.deepEqual(warned({ names: ['hub.example.net'], logOrigin: 'hub.example.net/log', device }), []);
});

test('a hub that others know by name and that listens on loopback is warned of, with the setting and its file', () => {
  const settings = { names: ['hub.example.net'], logOrigin: 'hub.example.net/log' };
  const [warning, ...others] = initWarnings('/srv/hub', parseHubSettings(settings, 'test'), ['passphrase']);
  assert.match(warning ?? '', /listens on 127\.0\.0\.1 alone\. Set device\.host in \/srv\/hub\/hub\.json/);
  assert.deepEqual(others, []);
});

test('the warning of plain keys seals those of this hub', () => {
  const text = initWarnings('/srv/hub', parseHubSettings({}, 'test'), []).join();
  assert.match(text, /`edgekeep hub rekey --data \/srv\/hub --add passphrase` seals them/);
});

test('a refused name is said to be from the option that gave it', async () => {
  await assert.rejects(
    withIdentity({ names: ['hub.example.net:8443'] }, undefined, { namesFrom: '--name' }),
    /^HubError: --name: names\.0: "hub\.example\.net:8443": .*without a port/,
  );
});

test('the next command is that of the unit where the package runs the hub, and hub run elsewhere', () => {
  const folder = '/var/lib/edgekeep/hub';
  const claim = `then: edgekeep hub claim --operator ${folder}/operator.json --name YOU --out operator.json`;
  assert.equal(
    nextText(folder, true, true),
    `next: systemctl enable --now edgekeep-hub\nthen: edgekeep hub unlock\n${claim}`,
  );
  assert.equal(nextText(folder, false, true), `next: systemctl enable --now edgekeep-hub\n${claim}`);
  assert.equal(nextText(folder, true, false), `next: edgekeep hub run --data ${folder}\n${claim}`);
});
