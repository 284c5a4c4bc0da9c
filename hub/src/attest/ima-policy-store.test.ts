// Publishing and withdrawing IMA policies (spec/ima-policy.md), and which position in a log they leave known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeImaPolicy } from '@edgekeep/core/attest/ima-policy';
import { followImaLog, imaLogBegin } from '@edgekeep/core/attest/ima-log-state';
import { imaNgLog } from '@edgekeep/core/attest/testing-ima';
import { endPublisher } from '../publisher/end.ts';
import { listPublishers } from '../publisher/publishers.ts';
import { signDocument, trustTestPublisher } from '../publisher/testing-publisher.ts';
import { auditEntries, openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { knownImaLog, recordImaLog } from './ima-logs.ts';
import { ImaPolicyStore } from './ima-policy-store.ts';

const by = { actor: 'person:ada/desk', nowMs: 1_800_000_000_000 };
const pcrs = [0, 7, 10];

async function policies({ database }: TestStore) {
  await trustTestPublisher(database);
  const store = new ImaPolicyStore(database);
  const publish = async (version: string, quoted: readonly number[] = pcrs, signs = signDocument, nowMs = by.nowMs) => {
    const files = { '/opt/bin/a': [`sha256:${'1'.repeat(64)}`] };
    const document = encodeImaPolicy({ type: 'edgekeep-ima-policy/v1', name: 'line', version, files });
    return store.publish({ document, signature: await signs(document), pcrs: quoted, ...by, nowMs });
  };
  return { store, publish };
}

test('a signed policy is in force until it is withdrawn, and the log has both', async () => {
  await using opened = await openTestStore();
  const { store, publish } = await policies(opened);
  assert.deepEqual((await store.now()).policies.list, []);
  await publish('1.0.0');
  assert.deepEqual(
    (await store.now()).policies.list.map(({ version }) => version),
    ['1.0.0'],
  );
  await store.withdraw({ name: 'line', version: '1.0.0', ...by });
  assert.deepEqual((await store.now()).policies.list, []);
  assert.equal(await refusalOf(store.withdraw({ name: 'line', version: '1.0.0', ...by })), 'not-found');
  const kinds = (await auditEntries(opened.database)).map(({ kind }) => kind);
  assert.deepEqual(kinds.slice(-2), ['ima-policy-published', 'ima-policy-withdrawn']);
});

// SECURITY.md: HUB-101
test('an IMA policy of a publisher that has ended is refused, and the one from before is in force', async () => {
  await using opened = await openTestStore();
  const { store, publish } = await policies(opened);
  await publish('1.0.0');
  const [publisher] = await listPublishers(opened.database);
  await endPublisher(opened.database, { fingerprint: publisher?.fingerprint ?? '', note: 'left', ...by });
  assert.equal(await refusalOf(publish('1.1.0')), 'publisher-untrusted');
  // A request that began a moment before the end counts as one of now.
  assert.equal(await refusalOf(publish('1.2.0', pcrs, signDocument, by.nowMs - 1)), 'publisher-untrusted');
  assert.equal((await store.now()).policies.list.length, 1);
});

// SECURITY.md: DEV-79
test('another signature, a version twice, a ninth policy, and a hub that does not quote PCR 10 are refused', async () => {
  await using opened = await openTestStore();
  const { publish } = await policies(opened);
  await publish('1.0.0');
  assert.equal(await refusalOf(publish('1.0.0')), 'conflict');
  assert.equal(await refusalOf(publish('1.1.0', [0, 7])), 'reference-values-refused: pcr-not-quoted');
  const other = () => signDocument(Buffer.from('another document'));
  assert.match(await refusalOf(publish('1.1.0', pcrs, other)), /^reference-values-refused: digest-mismatch/);
  for (let minor = 1; minor < 8; minor += 1) await publish(`1.${minor}.0`);
  assert.equal(await refusalOf(publish('2.0.0')), 'conflict');
});

// SECURITY.md: DEV-79
test('after a policy was published or withdrawn no position in a log is known', async () => {
  await using opened = await openTestStore();
  const { database } = opened;
  const { store, publish } = await policies(opened);
  const known = async () =>
    (await knownImaLog(database.read, 'press-1', { imaLog: undefined }, await store.now()))?.entries;
  const record = async () => {
    const { state, policies: now } = await store.now();
    const imaLog = { ...followImaLog(imaLogBegin, imaNgLog(5), now), start: imaLogBegin };
    const appraisal = { imaLog, resetCount: 1, restartCount: 0 };
    await database.write((trx) => recordImaLog(trx, 'press-1', appraisal, state));
  };
  await record();
  assert.equal(await known(), 5);
  await publish('1.0.0');
  assert.equal(await known(), undefined);
  await record();
  assert.equal(await known(), 5);
  await store.withdraw({ name: 'line', version: '1.0.0', ...by });
  assert.equal(await known(), undefined);
});
