// Read access to the audit log (spec/audit-log.md): checkpoint and hashes for everybody, entries for auditors, and for each device its own.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { parseAuditEntry } from '@edgekeep/core/audit/entry';
import { leafHash, makeInclusionProof, nodeHash, rootHash, verifyInclusion } from '@edgekeep/core/audit/merkle';
import { parseBase64url } from '@edgekeep/core/bytes';
import { ownEntries, auditProof } from '@edgekeep/wire/api/audit';
import { z } from 'zod';
import { accepted, type Answer, assertRefused } from './support/answer.ts';
import { DeviceLink } from './support/device-link.ts';
import { HubWorld } from './support/hub-world.ts';
import { TestDevice } from './support/test-device.ts';
import { rowsIn } from './support/outside-store.ts';

let world: HubWorld;
let press: TestDevice;
let pump: TestDevice;
let link: DeviceLink;
const wholeTile = 256;

before(async () => {
  world = await HubWorld.open();
  press = await TestDevice.withoutTpm('press-1', join(world.folder, 'press-1'));
  pump = await TestDevice.withoutTpm('pump-1', join(world.folder, 'pump-1'));
  await press.enroll(world);
  await pump.enroll(world);
  link = await press.connect(world.hub);
  // More than one whole tile, and less than two: each token is two entries.
  for (let at = 0; at < wholeTile / 2; at += 1) await world.enrollmentToken({ deviceId: `spare-${at}` });
  await world.integrated();
});
after(async () => {
  await link?.[Symbol.asyncDispose]();
  await press?.[Symbol.asyncDispose]();
  await pump?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

const checkpointIn = (bytes: Uint8Array) => {
  const opened = openCheckpoint(bytes, world.hub.logKey);
  assert.ok(opened.kind === 'verified', JSON.stringify(opened));
  return opened.checkpoint;
};

async function sizeOfLog(): Promise<number> {
  return checkpointIn((await world.askOperator('GET', '/log/checkpoint')).body).size;
}

/** Each spelling for which a careless server would return the entries. */
const entryPaths = (size: number) => {
  const partial = `001.p/${size % wholeTile}`;
  return ['000', partial].flatMap((tile) => [
    `/log/tile/entries/${tile}`,
    `/log/tile/%65ntries/${tile}`,
    `/log/tile/entries%2f${tile}`,
    `/log/tile//entries/${tile}`,
    `/log//tile/entries/${tile}`,
    `/log/tile/0/../entries/${tile}`,
    `/log/tile/0/%2e%2e/entries/${tile}`,
    `/log/tile/ENTRIES/${tile}`,
    `/log/tile/entries/${tile}/`,
    `/log/tile/entries/${tile}?token=x`,
  ]);
};

function assertNothing(answer: Answer, what: string): void {
  assert.ok([400, 401, 403, 404].includes(answer.status), `${what}: ${answer.status}`);
  assert.equal(Buffer.from(answer.body).includes('hub-initialised'), false, what);
  assert.equal(Buffer.from(answer.body).includes('enrolment-token-created'), false, what);
}

// SECURITY.md: HUB-35
test('no entry is given to a stranger or to a token without audit:read, in any spelling, whole tiles included', async () => {
  const size = await sizeOfLog();
  assert.ok(size > wholeTile);
  const scopes = ['devices:read', 'devices:write', 'models:read', 'metrics:read', 'alerts:read', 'tokens:write'];
  const token = await world.apiToken(scopes);
  for (const path of [...entryPaths(size), '/v1/audit', '/v1/audit/0/proof']) {
    assertNothing(await world.askOperator('GET', path), `a stranger at ${path}`);
    assertNothing(await world.askOperator('GET', path, { token }), `another token at ${path}`);
  }
  assertRefused(await world.askOperator('GET', '/log/tile/entries/000'), { status: 401, code: 'token-required' });
  const refusal = { status: 403, code: 'scope-missing' };
  assertRefused(await world.askOperator('GET', '/log/tile/entries/000', { token }), refusal);
});

test('an auditor reads whole tiles and the newest part of one', async () => {
  const token = await world.apiToken(['audit:read']);
  const size = await sizeOfLog();
  const whole = await world.askOperator('GET', '/log/tile/entries/000', { token });
  assert.equal(whole.status, 200);
  assert.ok(Buffer.from(whole.body).includes('hub-initialised'));
  const partial = await world.askOperator('GET', `/log/tile/entries/001.p/${size % wholeTile}`, { token });
  assert.equal(partial.status, 200);
});

// SECURITY.md: HUB-35
test('the device listener gives no tile of entries, to a stranger or to a device', async () => {
  await using stranger = await DeviceLink.open(world.hub);
  for (const path of entryPaths(await sizeOfLog())) {
    assertNothing(await stranger.ask('GET', path), `a stranger at ${path}`);
    assertNothing(await link.ask('GET', path), `a device at ${path}`);
  }
  assertNothing(await stranger.ask('GET', '/v1/audit'), 'a stranger at /v1/audit');
  await using unbound = await DeviceLink.open(world.hub, pump.credential);
  assertNothing(await unbound.ask('GET', '/v1/audit'), 'a certificate without its root of trust at /v1/audit');
});

// SECURITY.md: HUB-35
test('a device reads the entries about itself, as they were logged, and none about another', async () => {
  const found: Uint8Array[] = [];
  let from: number | null = 0;
  while (from !== null) {
    const page: ReturnType<typeof ownEntries.parse> = accepted(
      await link.ask('GET', `/v1/audit?from=${from}&limit=2`),
      ownEntries,
    );
    for (const { index, entry } of page.entries) {
      const bytes = parseBase64url(entry, 'entry');
      const proof = await world.operator.get(`/v1/audit/${index}/proof`, auditProof);
      assert.equal(proof.entry, entry);
      found.push(bytes);
    }
    from = page.next;
  }
  const kinds = found.map((bytes) => {
    const { actor, subject, kind } = parseAuditEntry(bytes);
    assert.ok([actor, subject].includes('device:press-1'), `${actor} ${subject}`);
    return kind;
  });
  assert.ok(kinds.includes('enrolment-token-created') && kinds.includes('device-enrolled'), kinds.join(' '));
  for (const bytes of found) assert.equal(Buffer.from(bytes).includes('pump-1'), false);
});

// SECURITY.md: HUB-35
test('with checkpoint and hashes alone a stranger proves that an entry they know is in the log, on both listeners', async () => {
  const size = await sizeOfLog();
  const index = 3;
  const entry = parseBase64url((await world.operator.get(`/v1/audit/${index}/proof`, auditProof)).entry, 'entry');
  await using stranger = await DeviceLink.open(world.hub);
  for (const ask of [(path: string) => world.askOperator('GET', path), (path: string) => stranger.ask('GET', path)]) {
    const read = async (path: string) => {
      const { status, body } = await ask(path);
      assert.equal(status, 200, path);
      return body;
    };
    const { root } = checkpointIn(await read('/log/checkpoint'));
    const leaves = Buffer.concat([await read('/log/tile/0/000'), await read(`/log/tile/0/001.p/${size % wholeTile}`)]);
    assert.equal(leaves.length, size * 32);
    const node = (level: number, at: number): Uint8Array =>
      level === 0
        ? leaves.subarray(at * 32, (at + 1) * 32)
        : nodeHash(node(level - 1, at * 2), node(level - 1, at * 2 + 1));
    assert.deepEqual(Buffer.from(rootHash(size, node)), Buffer.from(root));
    const proof = makeInclusionProof(index, size, node);
    const claim = { index, size, root, proof };
    assert.equal(verifyInclusion({ ...claim, leafHash: leafHash(entry) }), true);
    assert.equal(verifyInclusion({ ...claim, leafHash: leafHash(entry.subarray(1)) }), false);
  }
});

// SECURITY.md: HUB-35
test('every entry has 16 random bytes of its own, so that a public hash gives no guess of it away', async () => {
  const rows = z
    .array(z.object({ entry: z.instanceof(Uint8Array) }))
    .parse(await rowsIn(world.place, 'select entry from audit_entry'));
  const salts = rows.map(({ entry }) => {
    const parsed = parseAuditEntry(entry);
    assert.ok('salt' in parsed);
    return parsed.salt;
  });
  assert.ok(salts.length > wholeTile);
  assert.equal(new Set(salts).size, salts.length);
});
