// openssl reads our chains and published ones, agrees about their paths, and shows the TcbInfo in them.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { parseBase64 } from '../../bytes.ts';
import { parseCertificate } from '../../identity/certificate.ts';
import { encodePem } from '../../identity/pem.ts';
import { validateDiceChain } from './chain.ts';
import { chainVectors } from './testing-vectors.ts';

const run = promisify(execFile);
const installed = await run('openssl', ['version']).then(
  () => true,
  () => false,
);
const skip = installed || process.env['CI'] === 'true' ? false : 'openssl is not installed';
let folder = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-dice-'));
});
after(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function pemFile(name: string, texts: readonly string[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, texts.map((text) => encodePem('CERTIFICATE', parseBase64(text, 'vector'))).join(''));
  return path;
}

// Checks that openssl does not make: TcbInfo and key purposes of DICE.
const stricter = new Set(['out-of-order.json', 'twice.json']);
const pathOnly = new Set(['valid', 'dice-profile-refused', 'dice-layer-missing', 'dice-layer-order']);

for (const { file, certificates, anchors, atSeconds, outcome } of chainVectors()) {
  test(`openssl verify agrees about the path of ${file}`, { skip }, async () => {
    const [leaf = '', ...others] = certificates;
    const args = ['verify', '-attime', String(atSeconds), '-CAfile', await pemFile(`${file}.roots`, anchors)];
    const files = ['-untrusted', await pemFile(`${file}.others`, others), await pemFile(`${file}.leaf`, [leaf])];
    // It knows no DICE extension; we process the critical one.
    const critical = outcome === 'valid' && file.includes('critical') ? ['-ignore_critical'] : [];
    const accepted = await run('openssl', [...args, ...critical, ...files]).then(
      () => true,
      () => false,
    );
    const read = (texts: readonly string[]) => texts.map((text) => parseCertificate(parseBase64(text, 'vector')));
    const ours = validateDiceChain(read(certificates), { anchors: read(anchors), intermediates: [] }, atSeconds);
    // It searches among the sent certificates, we do not.
    if (stricter.has(file)) {
      assert.deepEqual([accepted, outcome], [true, 'dice-path-refused']);
      return;
    }
    assert.equal(accepted, pathOnly.has(outcome));
    assert.equal(accepted, ours.kind === 'valid' || ours.reasons.every(({ code }) => pathOnly.has(code)));
  });
}

test('openssl asn1parse shows the fields of a TcbInfo where we put them', { skip }, async () => {
  const valid = chainVectors().find(({ file }) => file === 'valid.json');
  const path = await pemFile('asn1.pem', valid?.certificates.slice(0, 1) ?? []);
  const { stdout: whole } = await run('openssl', ['asn1parse', '-in', path]);
  // openssl has no name for it; the octet string after it is the extension.
  const lines = whole.split('\n');
  const at = lines.findIndex((line) => line.includes('2.23.133.5.4.1'));
  assert.notEqual(at, -1, whole);
  const [, offset = ''] = /^\s*(\d+):/.exec(lines[at + 1] ?? '') ?? [];
  const { stdout } = await run('openssl', ['asn1parse', '-in', path, '-strparse', offset]);
  for (const field of ['cont [ 0 ]', 'cont [ 1 ]', 'cont [ 3 ]', 'cont [ 4 ]', 'cont [ 6 ]', 'sha256']) {
    assert.ok(stdout.includes(field), `${field} in ${stdout}`);
  }
});
