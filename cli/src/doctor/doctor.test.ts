import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { examineClock } from './machine.ts';
import { examineTpm } from './tpm.ts';

const run = promisify(execFile);
const main = fileURLToPath(new URL('../main.ts', import.meta.url));

test('every finding has a subject and a state, and what is not ok says what to do next', async () => {
  const { stdout } = await run(process.execPath, [main, 'doctor', '--json']);
  const report: { readonly findings: readonly Readonly<Record<string, string>>[] } = JSON.parse(stdout);
  const subjects = report.findings.map(({ subject }) => subject);
  for (const subject of [
    'Node.js',
    'TPM',
    'clock',
    'entropy',
    'memory files',
    'swap',
    'core dumps',
    'tracing',
    'umask',
  ]) {
    assert.ok(subjects.includes(subject), subject);
  }
  for (const { subject, state, found, next } of report.findings) {
    assert.ok(['ok', 'warning', 'missing'].includes(state ?? ''), subject);
    assert.ok(found !== undefined && found !== '', subject);
    assert.equal(next === undefined, state === 'ok', subject);
  }
});

test('a TPM address that is none is a usage error', async () => {
  await assert.rejects(run(process.execPath, [main, 'doctor', '--tpm', 'nonsense']), { code: 2 });
});

test('doctor reports a machine without a TPM', async () => {
  const [finding] = await examineTpm(
    { kind: 'device', path: '/nonexistent/tpmrm0' },
    { makers: undefined, nowSeconds: 0, stateFolder: undefined, looksForLog: true },
  );
  assert.equal(finding?.state, 'missing');
});

test('a clock that lost its time is a warning', async () => {
  assert.equal((await examineClock(0)).state, 'warning');
});
