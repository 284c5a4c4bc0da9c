// Texts from outside (names, reasons, reports) never act on the terminal of a person who lists them: a false hub answers every verb that
// shows something with all the texts that its OpenAPI document allows, hostile ones.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { verbs } from '@edgekeep/cli/verbs';
import { makeTestAuthority } from '@edgekeep/wire/link/testing-authority';
import { exampleOf } from './openapi/example.ts';
import { OpenApiDocument } from './openapi/validator.ts';

const root = join(import.meta.dirname, '..');
const hostile = '\u001b[2J\u009b31m\u202emoc.evil\u2066\u200b\r\u0007';
// oxlint-disable-next-line no-control-regex
const raw = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const shows = /(?:^| )(?:list|show|pending|history|versions|expiry|status|jobs|keys|summary|search|overview|devices)$/;

let folder: string;
let operator: string;
const closing = new AsyncDisposableStack();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-hostile-'));
  closing.defer(() => rm(folder, { recursive: true, force: true }));
  const document = new OpenApiDocument(await readFile(join(root, 'spec/openapi/operator.json'), 'utf8'));
  const authority = await makeTestAuthority('a false hub');
  const { certificateChainPem: cert, privateKeyPem: key } = authority.server;
  const server = createServer({ cert, key }, ({ method = 'GET', url = '' }, response) => {
    const operation = operationAt(document, method, url.split('?', 1)[0] ?? '');
    const schema = operation?.responses[200]?.content?.['application/json']?.schema;
    response.writeHead(schema === undefined ? 404 : 200, { 'content-type': 'application/json' });
    const refusal = { error: { code: 'not-found', message: hostile, reasons: [{ code: hostile, message: hostile }] } };
    response.end(JSON.stringify(schema === undefined ? refusal : ended(exampleOf(schema, document.schemas, hostile))));
  });
  closing.defer(() => void server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  operator = join(folder, 'operator.json');
  const access = {
    url: `https://127.0.0.1:${port}`,
    serverName: 'localhost',
    root: authority.authorityPem,
    token: 'ek_x',
  };
  await writeFile(operator, JSON.stringify(access), { mode: 0o600 });
});
after(() => closing.disposeAsync());

// A list has no next page.
function ended(answer: unknown): unknown {
  return typeof answer === 'object' && answer !== null && 'next' in answer ? { ...answer, next: null } : answer;
}

function operationAt({ paths }: OpenApiDocument, method: string, path: string) {
  const found = Object.entries(paths).find(([each]) =>
    new RegExp(`^${each.replaceAll(/\{path\}/g, '.+').replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path),
  );
  return found?.[1][method.toLowerCase()];
}

async function run(words: readonly string[]): Promise<string> {
  const main = join(root, 'cli/src/main.ts');
  const child = spawn(process.execPath, ['--disable-sigusr1', main, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, error] = await Promise.all([readText(child.stdout), readText(child.stderr)]);
  return out + error;
}

// SECURITY.md: HUB-102
test(
  'no list and no view writes a character that a terminal acts on or that hides text',
  { timeout: 600_000 },
  async () => {
    const asked: string[] = [];
    const escaped: string[] = [];
    for (const [name, verb] of Object.entries(verbs).filter(([each]) => shows.test(each))) {
      const { options, positionals } = await verb.load(verbs);
      if (!Object.hasOwn(options, 'operator')) continue;
      asked.push(name);
      const values = Array.from({ length: positionals.min }, () => 'press-7');
      const output = await run([...name.split(' '), ...values, '--operator', operator]);
      assert.doesNotMatch(output, raw, `${name}: ${JSON.stringify(output.slice(0, 400))}`);
      if (output.includes(String.raw`\u202e`)) escaped.push(name);
    }
    // A verb that needs a form which no example has ends with a message, which may quote the text or not.
    assert.ok(asked.length > 30, asked.join(', '));
    assert.ok(escaped.length > 10, `${escaped.length}: ${escaped.join(', ')}`);
  },
);
