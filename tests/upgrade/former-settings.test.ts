// Settings of the previous version keep their meaning, each with a warning.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { formerAgentSettings } from '@edgekeep/agent/former-settings';
import { parseAgentSettings } from '@edgekeep/agent/settings';
import { renameFormer } from '@edgekeep/core/former-names';
import { formerHubSettings } from '@edgekeep/hub/common/former-settings';
import { parseHubSettings } from '@edgekeep/hub/settings';

const formerHub = {
  requestsPerSecondMost: 7,
  anonymousRequestsPerSecondMost: 8,
  admission: {
    bytesPerSecondMost: 2_048,
    anonymousBytesPerSecondMost: 4_096,
    anonymousConnectionsMost: 9,
    tokenRequestsPerSecondMost: 10,
    addressRequestsPerSecondMost: 11,
    operatorConnectionsMost: 12,
    uploadBytesPerSecondLeast: 13,
  },
  access: { revokedAloneMost: 14, enrolmentAloneDays: 15 },
  identity: { twoPlaces: 'hold-both', tokensInOnePlace: false },
  tokens: { lifeDaysMost: 16 },
  enrolment: { requireToken: false },
};
const formerAgent = {
  enrolmentTokenFile: 'one-time',
  guard: { probeSecondsMax: 7, readySecondsMax: 8, inferenceSecondsMax: 9, memoryMebibytesMax: 1_000 },
  reconnectSecondsMax: 10,
};
const agent = (settings: object) =>
  parseAgentSettings({
    stateFolder: '/var/lib/edgekeep/agent',
    deviceId: 'press-7',
    hub: { host: 'localhost', caFile: 'ca.pem', logKey: 'key', attestationKeyFiles: ['attestation.pem'] },
    ...settings,
  });
const kinds = [
  {
    name: 'hub.json',
    names: formerHubSettings,
    former: formerHub,
    parse: (value: object) => parseHubSettings(value, 'a test'),
  },
  { name: 'agent.json', names: formerAgentSettings, former: formerAgent, parse: agent },
];

/** Every value with the name of its setting, groups spelled with dots. */
function valuesOf(value: unknown, path: readonly string[] = []): readonly (readonly [string, unknown])[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[path.join('.'), value]];
  return Object.entries(value).flatMap(([name, each]) => valuesOf(each, [...path, name]));
}

for (const { name, names, former, parse } of kinds) {
  test(`${name}: every setting by its former name counts, and is warned of`, async () => {
    assert.deepEqual(
      valuesOf(former)
        .map(([path]) => path)
        .toSorted(),
      Object.keys(names).toSorted(),
    );
    const warnings: string[] = [];
    const keep = (warning: Error & { readonly code?: unknown }) => {
      if (warning.code === 'EDGEKEEP_FORMER_NAME') warnings.push(warning.message);
    };
    process.on('warning', keep);
    try {
      const read = new Map(valuesOf(parse(former)));
      for (const [path, value] of valuesOf(former)) assert.equal(read.get(names[path] ?? ''), value, path);
      // Node emits warnings in the next turn.
      await setImmediate();
    } finally {
      process.off('warning', keep);
    }
    const warned = warnings.map((text) => /: (\S+) is called /.exec(text)?.[1] ?? text);
    assert.deepEqual(warned.toSorted(), Object.keys(names).toSorted());
  });

  test(`${name}: a setting in both spellings is refused`, () => {
    const { value } = renameFormer(former, names);
    for (const [path, given] of valuesOf(former)) {
      const both = merged(Object(value), path.split('.'), given);
      assert.throws(() => parse(both), { code: 'settings-invalid' }, path);
    }
  });
}

function merged(value: object, [name = '', ...rest]: readonly string[], given: unknown): object {
  const own: unknown = new Map<string, unknown>(Object.entries(value)).get(name);
  return { ...value, [name]: rest.length === 0 ? given : merged(Object(own ?? {}), rest, given) };
}
