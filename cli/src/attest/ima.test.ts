// `attest verify --ima-log` and `attest replay`, offline, on files as tpm2-tools and the kernel write them.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { encodeEvidence } from '@edgekeep/core/attest/evidence';
import { imaPcrValues, parseImaLog } from '@edgekeep/core/attest/ima-log';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { pcrValue, replayEventLog } from '@edgekeep/core/attest/replay';
import { cryptoAgileLog, fixedKey, testAttester, testQuote, uefiBoot } from '@edgekeep/core/attest/testing';
import { imaNgLog } from '@edgekeep/core/attest/testing-ima';
import { toBase64url, toHex } from '@edgekeep/core/bytes';

const main = join(import.meta.dirname, '../main.ts');
const pcrs = [0, 4, 10];
const nonce = new Uint8Array(32).fill(7);
const eventLog = cryptoAgileLog(uefiBoot, ['sha1', 'sha256']);
const attester = testAttester(fixedKey(3));
const replayed = replayEventLog(parseEventLog(eventLog), 'sha256');
const values = imaPcrValues(parseImaLog(imaNgLog(40)), 'sha256', 10, pcrValue(replayed, 10));
let folder = '';
const at = (name: string) => join(folder, name);

async function edgekeep(...args: readonly string[]): Promise<{ readonly code: number; readonly text: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'attest', ...args], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, text: stdout + stderr });
    });
  });
}

function quoteAfter(entries: number, over: Uint8Array) {
  const value = values[entries] ?? new Uint8Array(0);
  return testQuote(attester, {
    qualifyingData: over,
    pcrs,
    pcrValue: (pcr) => (pcr === 10 ? value : pcrValue(replayed, pcr)),
  });
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-ima-cli-'));
  const { quote, signature } = quoteAfter(33, nonce);
  const files = { quote, signature, log: eventLog, ima: imaNgLog(40), 'ima-short': imaNgLog(32) };
  for (const [name, bytes] of Object.entries(files)) await writeFile(at(name), bytes);
  const key = createPublicKey(fixedKey(3)).export({ type: 'spki', format: 'pem' });
  await writeFile(at('key.pem'), key);
  const signed = quoteAfter(40, qualifyingData('local', nonce, new Uint8Array(0)));
  const document: unknown = JSON.parse(Buffer.from(encodeEvidence({ kind: 'tpm', ...signed, eventLog })).toString());
  const answer = { nonce: toBase64url(nonce), evidence: document, attestationResult: null };
  await writeFile(at('attestation.json'), JSON.stringify(answer));
});
after(() => rm(folder, { recursive: true, force: true }));

const common = () => ['verify', '--key', at('key.pem'), '--nonce', toHex(nonce)];
const files = () => ['--quote', at('quote'), '--signature', at('signature'), '--event-log', at('log')];

test('a quote that covers PCR 10 verifies offline with the IMA log, of which the beginning is taken', async () => {
  const { code, text } = await edgekeep(...common(), ...files(), '--ima-log', at('ima'));
  assert.equal(code, 0, text);
  assert.match(text, /IMA log: 33 of 40 entries replay to the quoted PCR 10/);
});

test('a quote of PCR 10 alone verifies with the IMA log alone, and with no other', async () => {
  const alone = imaPcrValues(parseImaLog(imaNgLog(40)), 'sha256', 10, new Uint8Array(32));
  const value = alone[33] ?? assert.fail('33 entries');
  const { quote, signature } = testQuote(attester, { qualifyingData: nonce, pcrs: [10], pcrValue: () => value });
  await writeFile(at('quote-10'), quote);
  await writeFile(at('signature-10'), signature);
  const ofPcr10 = [...common(), '--quote', at('quote-10'), '--signature', at('signature-10'), '--ima-log'];
  const { code, text } = await edgekeep(...ofPcr10, at('ima'));
  assert.equal(code, 0, text);
  assert.match(text, /33 of 40 entries replay to the quoted PCR 10/);
  const short = await edgekeep(...ofPcr10, at('ima-short'));
  assert.deepEqual([short.code, /pcr-digest-mismatch/.test(short.text)], [1, true]);
  const others = ['--quote', at('quote'), '--signature', at('signature'), '--ima-log', at('ima')];
  assert.equal((await edgekeep(...common(), ...others)).code, 2);
});

test('without the IMA log, or with one that is too short, it is refused and the reason names PCR 10', async () => {
  const without = await edgekeep(...common(), ...files());
  assert.equal(without.code, 1);
  assert.match(without.text, /PCR 10 was quoted and came without its IMA log/);
  const short = await edgekeep(...common(), ...files(), '--ima-log', at('ima-short'));
  assert.equal(short.code, 1);
  assert.match(short.text, /any number of the 32 IMA entries/);
});

test("an agent's answer without its IMA log verifies with the log beside it", async () => {
  const name = toHex(attester.key.qualifiedName ?? new Uint8Array(0));
  const given = ['--attestation', at('attestation.json'), '--qualified-name', name];
  assert.equal((await edgekeep(...common(), ...given)).code, 1);
  const { code, text } = await edgekeep(...common(), ...given, '--ima-log', at('ima'));
  assert.equal(code, 0, text);
  assert.match(text, /IMA log: 40 entries/);
});

test('replay shows the banks that replay and names the one whose digests an event lacks', async () => {
  const mixed = Buffer.concat([eventLog, Buffer.from('0e0000000d000000010000000b00', 'hex'), Buffer.alloc(32, 5)]);
  await writeFile(at('mixed'), Buffer.concat([mixed, Buffer.from('0100000041', 'hex')]));
  const { code, text } = await edgekeep('replay', at('mixed'));
  assert.equal(code, 0, text);
  assert.match(text, /sha256:\n/);
  assert.match(text, /not replayed:\n {2}sha1: event \d+ \(EV_IPL\) has no sha1 digest/);
  assert.doesNotMatch(text, /^ {2}sha1:\n/m);
});
