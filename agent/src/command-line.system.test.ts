import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';

const logKey = 'edgekeep.local/log+efc9aba5+AcHTRlKfyBzyarplhqhkqOvIaVtB9au17JCSTHzyzhMW';
const skipTerminal = await skipWithout('script');
const main = join(import.meta.dirname, 'main.ts');
const agent = (args: readonly string[], environment: Readonly<Record<string, string>> = {}) =>
  promisify(execFile)(process.execPath, [main, ...args], { env: { ...process.env, ...environment } });

test('asking for help is answered, as the unit does before it starts the agent; wrong words are refused with it', async () => {
  assert.match((await agent(['--help'])).stdout, /^usage: .*--state DIR/);
  await assert.rejects(agent(['--wrong']), { code: 2, stderr: /^usage: / });
});

test('asking for help fills a compile cache to which a start that fails adds no file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-compile-cache-'));
  try {
    const count = async () => (await readdir(folder, { recursive: true })).length;
    await agent(['--help'], { NODE_COMPILE_CACHE: folder });
    const filled = await count();
    assert.ok(filled > 100, `only ${filled} files`);
    await assert.rejects(agent(['--state', folder], { NODE_COMPILE_CACHE: folder }), { code: 3 });
    assert.equal(await count(), filled);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a TPM that is not there is a fault of the machine: JSON for programs, a sentence at a terminal unless --json says otherwise', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-no-tpm-'));
  try {
    const hub = { host: 'localhost', caFile: 'ca.pem', logKey, attestationKeyFiles: ['attestation.pem'] };
    const rootOfTrust = { kind: 'tpm', address: `unix:${join(folder, 'tpm.sock')}` };
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await writeFile(join(folder, 'attestation.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
    await writeFile(join(folder, 'ca.pem'), 'unread');
    const settings = { deviceId: 'press-7', hub, rootOfTrust, publisherKeyFiles: [], models: [] };
    await writeFile(join(folder, 'agent.json'), JSON.stringify(settings), { mode: 0o600 });
    await assert.rejects(agent(['--state', folder]), { code: 6, stderr: /"tpm-unreachable"/ });
    if (skipTerminal !== false) return;
    const sentence = await atTerminal(['--state', folder]);
    assert.equal(sentence.code, 6);
    assert.match(sentence.shown, /^times are UTC.*\r\nedgekeep agent: tpm-unreachable: no TPM at /s);
    const json = await atTerminal(['--state', folder, '--json']);
    assert.deepEqual([json.code, JSON.parse(json.shown).error.code], [6, 'tpm-unreachable']);
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** In a terminal of its own, as script of util-linux makes one. */
async function atTerminal(args: readonly string[]): Promise<{ readonly code: number; readonly shown: string }> {
  const line = [process.execPath, main, ...args].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qec', line, '/dev/null'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [shown, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  return { code: Number(code), shown };
}
