import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { testIssuing, testRoot } from '@edgekeep/core/identity/testing-roots';
import { RevocationWatch } from '../revocation/watch.ts';
import { Database } from '../store/database.ts';
import { storePlace } from '../store/testing-place.ts';
import { importVendorRoots, listVendorRoots, removeVendorRoot } from './store.ts';
import { VendorRoots } from './vendor-roots.ts';

const now = 1_800_000_000;
const period = { notBeforeSeconds: now - 86_400, notAfterSeconds: now + 86_400 };
const by = { actor: 'person:admin', nowMs: now * 1_000 };
const terms = { kind: 'tpm', anchor: false, source: 'test', ...by } as const;

/** Two nodes of one hub: each has its own connection to the store. */
async function twoNodes(t: TestContext): Promise<{ readonly one: Database; readonly other: Database }> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-vendor-roots-'));
  const one = await Database.open(await storePlace(folder));
  const other = await Database.open(await storePlace(folder));
  t.after(async () => {
    await one[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });
  return { one, other };
}

test('what one node imports or removes, the other judges by after its next look at the store', async (t) => {
  const { one, other } = await twoNodes(t);
  const roots = await VendorRoots.open(other);
  const watch = await RevocationWatch.start(
    other,
    () => undefined,
    60_000,
    () => roots.reload(),
  );
  const { certificate } = await testRoot(period);
  const [imported] = await importVendorRoots(one, { ...terms, certificates: [certificate] });
  assert.equal(roots.trust('tpm').anchors.certificates.length, 0);
  await watch.poll();
  assert.equal(roots.trust('tpm').anchors.certificates.length, 1);
  assert.equal(roots.trust('dice').anchors.certificates.length, 0);
  const order = { kind: 'tpm', sha256: imported?.row.sha256 ?? '', force: false, reason: 'a test', ...by } as const;
  await removeVendorRoot(one, order);
  await watch.poll();
  assert.equal(roots.trust('tpm').anchors.certificates.length, 0);
  await assert.rejects(removeVendorRoot(one, order), { code: 'not-found' });
});

test('reads that overlap with changes end with the newest, whichever began first', async (t) => {
  const { one } = await twoNodes(t);
  const roots = await VendorRoots.open(one);
  const made = await Promise.all([1, 2, 3].map(() => testRoot(period)));
  const reads: Promise<void>[] = [];
  for (const { certificate } of made) {
    reads.push(roots.reload());
    await importVendorRoots(one, { ...terms, certificates: [certificate] });
    reads.push(roots.reload());
  }
  await Promise.all(reads);
  assert.equal(roots.trust('tpm').anchors.certificates.length, 3);
});

test('a page ends where it should, over the borders of kinds, and each certificate is on one page', async (t) => {
  const { one } = await twoNodes(t);
  const root = await testRoot(period);
  for (const kind of ['tpm', 'dice', 'idevid'] as const) {
    const issuing = await testIssuing(root, period);
    await importVendorRoots(one, { ...terms, kind, certificates: [root.certificate, issuing.certificate] });
  }
  const seen: string[] = [];
  for (let after: string | null = ''; after !== null;) {
    const page = await listVendorRoots(one.read, { after, limit: 4 });
    assert.ok(page.roots.length <= 4);
    seen.push(...page.roots.map(({ kind, sha256 }) => `${kind} ${sha256}`));
    after = page.next;
  }
  assert.equal(seen.length, 6);
  assert.equal(new Set(seen).size, 6);
});

test('thousands are read, and each path looks at the few that can have issued the last certificate', async (t) => {
  const { one } = await twoNodes(t);
  const root = await testRoot(period);
  const issuing = await Promise.all(Array.from({ length: 600 }, () => testIssuing(root, period)));
  const certificates = [root, ...issuing].map(({ certificate }) => certificate);
  await importVendorRoots(one, { ...terms, certificates });
  const roots = await VendorRoots.open(one);
  const { anchors, intermediates } = roots.trust('tpm');
  assert.deepEqual([anchors.certificates.length, intermediates.certificates.length], [1, 600]);
  const [last] = issuing;
  assert.ok(last !== undefined);
  assert.deepEqual(anchors.issuersOf(last.certificate).length, 1);
});
