import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { agentSettingsSchema, parseAgentSettings, readAgentSettings } from './settings.ts';

const page = readFileSync(new URL('../../docs/settings.md', import.meta.url), 'utf8');
const section = page.split(/^## /m).find((text) => text.startsWith('Agent\n')) ?? '';
const [, example = ''] = /```json\n([\s\S]*?)```/.exec(section) ?? [];
const minimal = () => ({
  stateFolder: '/var/lib/edgekeep/agent',
  deviceId: 'press-7',
  hub: { host: 'hub.example', caFile: 'ca.pem', logKey: 'key', attestationKeyFiles: ['attestation.pem'] },
});

test('the example in docs/settings.md is valid', () => {
  const { deviceId } = parseAgentSettings({ ...JSON.parse(example), stateFolder: '/var/lib/edgekeep/agent' });
  assert.equal(deviceId, 'press-7');
});

test('docs/settings.md names every setting with its default', () => {
  const missing = namesIn(z.toJSONSchema(agentSettingsSchema, { io: 'input', unrepresentable: 'any' }))
    .filter((name) => name !== 'stateFolder')
    .filter((name) => !section.includes(`| \`${name}\` |`));
  assert.deepEqual(missing, []);
});

/** Dotted names of all settings; settings of a list's items are after `[]`. */
function namesIn(schema: z.core.JSONSchema.BaseSchema, prefix = ''): readonly string[] {
  const variants = [...(schema.oneOf ?? []), ...(schema.anyOf ?? [])].filter((each) => typeof each === 'object');
  if (variants.length > 0) return [...new Set(variants.flatMap((variant) => namesIn(variant, prefix)))];
  const { items } = schema;
  if (typeof items === 'object' && !Array.isArray(items) && items.properties !== undefined) {
    return namesIn(items, `${prefix.slice(0, -1)}[].`);
  }
  if (schema.properties === undefined) return [prefix.slice(0, -1)];
  return Object.entries(schema.properties).flatMap(([name, inner]) =>
    typeof inner === 'boolean' ? [`${prefix}${name}`] : namesIn(inner, `${prefix}${name}.`),
  );
}

test('defaults are filled in', () => {
  const settings = parseAgentSettings(minimal());
  assert.deepEqual([settings.hub.port, settings.checkinSeconds, settings.measuredStart.pcr], [8443, 30, undefined]);
  assert.deepEqual(settings.rootOfTrust, { kind: 'tpm', address: 'device:/dev/tpmrm0', endorsementKey: 'preferred' });
});

test('the host of the hub has one form', () => {
  const hostIn = (host: string) => parseAgentSettings({ ...minimal(), hub: { ...minimal().hub, host } }).hub.host;
  assert.equal(hostIn('[2001:DB8::5]'), '2001:db8::5');
  assert.equal(hostIn('Hub.Example.'), 'hub.example');
  assert.equal(hostIn('fe80::1%25eth0'), 'fe80::1%eth0');
  // As the version before took it: a machine with one interface finds the way.
  assert.equal(hostIn('fe80::1'), 'fe80::1');
});

test('what cannot work is refused by name', () => {
  const wrong: readonly (readonly [string, object])[] = [
    ['a misspelt setting', { checkInSeconds: 5 }],
    ['a relative state folder', { stateFolder: 'state' }],
    ['a device id with a slash', { deviceId: '../press' }],
    ['an address that is none', { rootOfTrust: { kind: 'tpm', address: 'tpm0' } }],
    ['a hub at a number that is no address', { hub: { ...minimal().hub, host: '10.0.0.300' } }],
    ['a hub with its port in the host', { hub: { ...minimal().hub, host: 'hub.example:8443' } }],
    [
      'an attestation door at a link-local address without its interface',
      { attestDoor: { host: 'fe80::1', certificateFile: 'a', keyFile: 'b' } },
    ],
    ['a zone in the name of a certificate', { hub: { ...minimal().hub, serverName: 'fe80::1%eth0' } }],
    ['a TPM at no address', { rootOfTrust: { kind: 'tpm', address: 'tcp:10.1:2321' } }],
    ['a resettable PCR', { measuredStart: { pcr: 16 } }],
    ['a stage name with a line break', { measuredStart: { stages: [{ name: 'a\nb', folder: 'a', signature: 'b' }] } }],
    ['no key for attestation results', { hub: { ...minimal().hub, attestationKeyFiles: [] } }],
    ['a model named twice', { models: [{ name: 'a' }, { name: 'a' }] }],
    ['a model name that leaves its folder', { models: [{ name: '../a' }] }],
  ];
  for (const [what, change] of wrong) {
    assert.throws(() => parseAgentSettings({ ...minimal(), ...change }), { code: 'settings-invalid' }, what);
  }
});

test('a setting that is twice in agent.json is refused by its name, and so is a file without an object', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-settings-'));
  try {
    for (const [text, message] of [
      ['{"deviceId":"press-7","deviceId":"press-8"}', /agent\.json: the key "deviceId" occurs twice/],
      ['{"hub":{"host":"a","host":"b"}}', /the key "host" occurs twice/],
      ['[]', /expected object/],
      ['{', /not JSON/],
    ] as const) {
      await writeFile(join(folder, 'agent.json'), text);
      await assert.rejects(readAgentSettings(folder), { code: 'settings-invalid', message }, text);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
