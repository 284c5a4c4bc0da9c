// A client that a stranger generates from spec/openapi with openapi-typescript compiles: answers, errors by their codes, 202, bytes.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const require = createRequire(join(root, 'tests/openapi-client/package.json'));
const programOf = (name: string, path: string) => join(dirname(require.resolve(`${name}/package.json`)), path);

const options = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noEmit: true,
  module: 'nodenext',
  target: 'esnext',
  lib: ['esnext', 'dom'],
  types: [],
  allowImportingTsExtensions: true,
};

const client = `
import createClient from 'openapi-fetch';
import type { paths as OperatorPaths } from './operator.d.ts';
import type { components, paths as DevicePaths } from './device.d.ts';

const operator = createClient<OperatorPaths>({ baseUrl: 'https://hub' });
const device = createClient<DevicePaths>({ baseUrl: 'https://hub' });

const shown = await operator.GET('/v1/devices/{id}', { params: { path: { id: 'press-1' } } });
if (shown.error !== undefined) {
  const code: string = shown.error.error.code;
  console.log(code, shown.error.error.reasons.map(({ message }) => message));
} else {
  const accepted: number | undefined = shown.data.counts?.[0]?.accepted;
  const state: 'registered' | 'active' | 'suspect' | 'quarantined' | 'wiped' | 'retired' = shown.data.state;
  console.log(accepted, state);
}

const applied = await operator.PUT('/v1/policy', { body: { text: '' } });
if (applied.data !== undefined && 'approvalRequired' in applied.data) console.log(applied.data.approvalRequired.id);
else console.log(applied.data?.version, applied.response.status === 202);

const refused: 'rate-limited' = 'rate-limited' satisfies components['schemas']['Refusal429']['error']['code'];
console.log(refused);

const imported = await operator.POST('/v1/devices/import', { body: '{}' });
console.log(imported.data?.expected);
const tile = await operator.GET('/log/tile/{path}', { params: { path: { path: '0/000' } }, parseAs: 'arrayBuffer' });
console.log(tile.data?.byteLength);
const token = await operator.POST('/v1/tokens', { body: { name: 'ci', scopes: ['models:publish'] } });
console.log(token.data);
const lists = await operator.GET('/v1/devices', { params: { query: { filter: 'state==active', limit: 10 } } });
console.log(lists.data?.devices.length, lists.data?.next);
const challenge = await device.POST('/v1/challenges');
console.log(challenge.data?.nonce);
`;

const wrong = `${client}
console.log(await operator.GET('/v1/devices/{id}', { params: { path: { id: 'a' } } }).then(({ data }) => data?.stat));
console.log(await operator.POST('/v1/tokens', { body: { name: 'ci', scopes: ['everything'] } }));
console.log(await operator.POST('/v1/sites/{name}/devices', { body: { add: [] } }));
`;

test('a client made by openapi-typescript compiles, and finds mistakes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-client-'));
  try {
    for (const listener of ['operator', 'device']) {
      const file = join(root, `spec/openapi/${listener}.json`);
      await run(process.execPath, [
        programOf('openapi-typescript', 'bin/cli.js'),
        file,
        '-o',
        join(folder, `${listener}.d.ts`),
      ]);
    }
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['client.ts'] }));
    assert.equal(await compiled(folder, client), '');
    const problems = await compiled(folder, wrong);
    for (const problem of [/'stat' does not exist/, /"everything"/, /'params' is missing/])
      assert.match(problems, problem);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

async function compiled(folder: string, text: string): Promise<string> {
  await writeFile(join(folder, 'client.ts'), text);
  try {
    await run(process.execPath, [programOf('typescript', 'bin/tsc'), '-p', folder]);
    return '';
  } catch (error) {
    return error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error);
  }
}
