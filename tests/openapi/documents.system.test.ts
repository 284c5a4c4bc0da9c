// spec/openapi has the documents that the listeners of a hub serve, complete and clean for a stranger's linter.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { rootOperations } from '@edgekeep/hub/people/root-operations';
import { HubWorld } from '../support/hub-world.ts';
import { servedDocuments } from './served.ts';
import { OpenApiDocument, type Operation } from './validator.ts';

const root = join(import.meta.dirname, '../..');
const fileOf = (listener: string) => join(root, 'spec/openapi', `${listener}.json`);
const listeners = ['operator', 'device'];
const documents = new Map(listeners.map((each) => [each, new OpenApiDocument(readFileSync(fileOf(each), 'utf8'))]));

function* operations(): Generator<{ where: string; path: string; method: string; operation: Operation }> {
  for (const [listener, { paths }] of documents)
    for (const [path, methods] of Object.entries(paths))
      for (const [method, operation] of Object.entries(methods))
        yield { where: `${listener}: ${method} ${path}`, path, method, operation };
}

test('the files are what the listeners of a hub serve at /openapi.json', async () => {
  await using world = await HubWorld.open();
  for (const [listener, text] of Object.entries(await servedDocuments(world)))
    assert.equal(readFileSync(fileOf(listener), 'utf8'), text, `${listener}: node scripts/openapi.ts writes it`);
});

test('redocly lint has nothing to say', async () => {
  const program = join(root, 'node_modules/@redocly/cli/bin/cli.js');
  const environment = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
  for (const listener of listeners) {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [program, 'lint', '--format=json', fileOf(listener)],
      {
        cwd: import.meta.dirname,
        env: environment,
        maxBuffer: 2 ** 26,
      },
    );
    const { totals, problems }: { totals: object; problems: readonly unknown[] } = JSON.parse(stdout);
    assert.deepEqual({ totals, problems }, { totals: { errors: 0, warnings: 0, ignored: 0 }, problems: [] });
  }
});

test('no operation lacks a name, its refusals, its parameters or the form of its body', () => {
  const names = new Map<string, string>();
  let count = 0;
  for (const { where, path, method, operation } of operations()) {
    count += 1;
    const { operationId, responses, security, parameters, requestBody } = operation;
    const listener = where.split(':', 1)[0] ?? '';
    assert.equal(names.get(`${listener} ${operationId}`), undefined, `${where}: ${operationId} is another operation's`);
    names.set(`${listener} ${operationId}`, where);
    assert.doesNotMatch(path, /[*:]/, where);
    const inPath = parameters.filter((each) => each.in === 'path').map(({ name }) => name);
    assert.deepEqual(
      [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
      inPath,
      where,
    );
    for (const status of [400, 429, 500, 503]) assert.ok(responses[status] !== undefined, `${where}: ${status}`);
    assert.equal(responses[429]?.headers['Retry-After']?.required, true, where);
    if (security.length > 0) assert.ok(responses[401] !== undefined && responses[403] !== undefined, where);
    if (method !== 'get') assert.ok(responses[413] !== undefined && responses[415] !== undefined, where);
    for (const [status, { content = {} }] of Object.entries({ ...responses, body: { content: requestBody?.content } }))
      for (const [type, { schema }] of Object.entries(content ?? {}))
        if (type === 'application/json')
          assert.match(String(schema['$ref']), /^#\/components\/schemas\/\w+$/, `${where} ${status}`);
  }
  assert.ok(count > 160, String(count));
});

test('a root operation has the answer 202, and no other operation has it', () => {
  const waiting = [...operations()].filter(({ operation }) => operation.responses[202] !== undefined);
  assert.equal(waiting.length, rootOperations.length);
  for (const { operation, where } of waiting)
    assert.deepEqual(
      operation.responses[202]?.content?.['application/json']?.schema,
      { $ref: '#/components/schemas/ApprovalRequired' },
      where,
    );
});
