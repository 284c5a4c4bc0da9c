// The log's folder, read by an independent implementation in Python (verify_log.py).
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cosign } from '@edgekeep/core/audit/cosignature';
import { encodeNote, encodeVerifierKey, parseNote, verifierKey } from '@edgekeep/core/audit/note';
import { encodeTlogProof } from '@edgekeep/core/audit/proof';
import { signerFromKey } from '@edgekeep/core/signer';
import { AuditLog } from './log.ts';
import { ed25519Key, opened, world } from './testing-log.ts';
import { CosignatureCollector } from './witness.ts';
import { ofTpm, testPolicies } from './testing-witness.ts';

const python = spawnSync('python3', ['-c', 'import cryptography'], { encoding: 'utf8' });
const missing = python.status === 0 ? false : 'python3 with the cryptography package is not installed';
const skip = process.env['CI'] === 'true' ? false : missing;
const witness = { name: 'log.example/device/press-7', signer: signerFromKey(ed25519Key(2)) };
const witnessKey = verifierKey(witness.name, witness.signer.publicKey, 'cosignature-v1');
let scratch = '';
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'edgekeep-oracle-'));
});
after(() => rm(scratch, { recursive: true, force: true }));

test('an independent reader finds the same root, tiles, proofs and signatures', { skip }, async () => {
  for (const sizes of [[1], [255, 256], [3, 700], [256, 66_000]]) {
    const { store, dependencies } = world(join(scratch, sizes.join('-')));
    await using log = await AuditLog.open(dependencies);
    const collector = new CosignatureCollector({ log, policies: testPolicies(1), maxRoundSeconds: 60 });
    collector.register('press-7', witnessKey, ofTpm);
    const [first = 0, last = first] = sizes;
    store.grow(first);
    await log.integrated(first - 1);
    const offer = await collector.offer(0, 1000);
    const note = parseNote(offer.kind === 'offer' ? offer.checkpoint : assert.fail());
    const lines = await cosign(note.text, 1000, witness);
    assert.equal(collector.accept('press-7', encodeNote({ ...note, signatures: [...lines] }), 1000).kind, 'kept');
    store.grow(last);
    await log.integrated(last - 1);

    const proof = join(scratch, 'proof');
    await writeFile(proof, encodeTlogProof(await log.proofFor(first - 1, collector.witnessed())));
    const root = Buffer.from(opened(log.checkpoint(), log).root).toString('hex');
    assert.equal(await verifyLog(log, dependencies.folder, proof), `${last} ${root}`);
  }
});

test('the independent reader refuses a folder with one byte changed', { skip }, async () => {
  const { store, dependencies } = world(join(scratch, 'changed'));
  await using log = await AuditLog.open(dependencies);
  store.grow(300);
  await log.integrated(299);
  const path = join(dependencies.folder, 'tile/entries/000');
  const bytes = await readFile(path);
  bytes[10] = (bytes[10] ?? 0) ^ 1;
  await writeFile(path, bytes);
  await assert.rejects(verifyLog(log, dependencies.folder));
});

function verifyLog(log: AuditLog, folder: string, proof?: string): Promise<string> {
  const script = join(import.meta.dirname, 'verify_log.py');
  const more = proof === undefined ? [] : [proof, encodeVerifierKey(witnessKey)];
  return new Promise((resolve, reject) => {
    execFile('python3', [script, folder, encodeVerifierKey(log.key), ...more], (error, stdout, stderr) => {
      if (error === null) resolve(stdout.trim());
      else reject(new Error(stderr, { cause: error }));
    });
  });
}
