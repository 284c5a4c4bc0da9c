// The long form of a receipt: what a device with a TPM booted, shown to a stranger up to the maker of the TPM, and what a hub that lies
// about it cannot make.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { MakerRoots } from '@edgekeep/core/access/evidence-origin';
import { LONG_RECEIPT_BYTES_MAX, verifyLongReceipt } from '@edgekeep/core/access/long-receipt';
import { RECEIPT_BYTES_MAX, verifyReceipt } from '@edgekeep/core/access/receipt';
import type { Trust } from '@edgekeep/core/access/trust';
import { CoreError } from '@edgekeep/core/error';
import { readCertificateFile } from '@edgekeep/core/identity/certificate-file';
import { signsItself } from '@edgekeep/core/identity/maker-authority';
import { encodeCanonicalJson, type Json } from '@edgekeep/core/json';
import { accepted, assertRefused } from '../support/answer.ts';
import type { DeviceLink, Released } from '../support/device-link.ts';
import type { TestDevice } from '../support/test-device.ts';
import { model, skipWithoutTpm, TpmWorld } from '../support/tpm-world.ts';
import { releaseResponse } from '@edgekeep/wire/api/access';

const run = promisify(execFile);
const skip = skipWithoutTpm;

let fleet: TpmWorld;
let device: TestDevice;
let link: DeviceLink;
let released: Released;
let long: Uint8Array;
let next: Uint8Array;

before(async () => {
  if (skip !== false) return;
  fleet = await TpmWorld.open({ witness: { quorum: 0 } });
  device = await fleet.device('press-1');
  link = await device.connect(fleet.world.hub);
  released = await device.releaseBound(link, model.name, model.version);
  long = await longOf(released);
  next = await longOf(await device.releaseBound(link, model.name, model.version));
});
after(async () => {
  await link?.[Symbol.asyncDispose]();
  await fleet?.[Symbol.asyncDispose]();
});

function longOf({ lease }: Released): Promise<Uint8Array> {
  return fleet.world.operator.getBytes(`/v1/receipts/${lease.id}/long`);
}

function makers(): MakerRoots {
  const parsed = [fleet.vendor.root, fleet.vendor.intermediate].flatMap(
    (pem) => readCertificateFile(Buffer.from(pem), 'vendor').certificates,
  );
  const anchors = parsed.filter(signsItself);
  const intermediates = parsed.filter((each) => !signsItself(each));
  return { tpm: { anchors, intermediates }, dice: { anchors: [], intermediates: [] } };
}

async function kindOf(bytes: Uint8Array, trust: Trust): Promise<string> {
  try {
    return verifyLongReceipt(bytes, trust, makers()).kind;
  } catch (error) {
    if (error instanceof CoreError) return 'broken';
    throw error;
  }
}

type Members = Record<string, Json | undefined>;

function membersOf(receipt: Uint8Array): Members {
  const members: Members = JSON.parse(Buffer.from(receipt).toString('utf8'));
  return members;
}

// SECURITY.md: HUB-67
test('a stranger verifies the boot of a TPM up to its maker, from three files and offline', { skip }, async (t) => {
  const { world } = fleet;
  const files = ['long.json', 'trust.json', 'makers.pem'].map((name) => join(world.folder, name));
  const [longFile = '', trustFile = '', makersFile = ''] = files;
  const main = createRequire(import.meta.url).resolve('@edgekeep/cli/main');
  const cli = (...args: readonly string[]) => run(process.execPath, [main, ...args]);
  const get = ['receipt', 'get', released.lease.id, '--out', longFile, '--long', '--operator', world.operatorFile];
  await cli(...get);
  await writeFile(trustFile, await world.operator.getBytes('/v1/trust'));
  await writeFile(makersFile, `${fleet.vendor.root}\n${fleet.vendor.intermediate}\n`);
  const { stdout } = await cli('receipt', 'verify', longFile, '--trust', trustFile, '--vendor-roots', makersFile);
  assert.match(stdout, /^verified\n/);
  assert.match(stdout, /^ {2}evidence +verified: /m);
  assert.match(stdout, /^ {2}maker +.*TPM swtpm/m);
  assert.match(stdout, /^not proven\n {2}that no other device got this key/m);
  const short = Buffer.from(released.receipt, 'base64url');
  assert.ok(short.length < RECEIPT_BYTES_MAX && long.length < LONG_RECEIPT_BYTES_MAX);
  t.diagnostic(`a receipt of version 2: ${short.length} bytes short, ${long.length} bytes long`);
});

// SECURITY.md: HUB-67
test('a long receipt with one part of another genuine one of the same boot does not verify', { skip }, async (t) => {
  const trust = await fleet.world.trust();
  const [own, foreign] = [membersOf(long), membersOf(next)];
  assert.equal(await kindOf(long, trust), 'verified');
  const exporter = Buffer.alloc(32).toString('base64url');
  for (const change of [{ evidence: foreign['evidence'] }, { receipt: foreign['receipt'] }, { exporter }]) {
    await t.test(Object.keys(change).join(), async () => {
      assert.equal(await kindOf(encodeCanonicalJson({ ...own, ...change }), trust), 'refused');
    });
  }
  await t.test('another device of the same maker as its origin', async () => {
    const other = await fleet.device('press-2');
    await using otherLink = await other.connect(fleet.world.hub);
    const { origin } = membersOf(await longOf(await other.releaseBound(otherLink, model.name, model.version)));
    assert.equal(await kindOf(encodeCanonicalJson({ ...membersOf(long), origin }), trust), 'refused');
  });
});

test(
  'an agent of the version before gets a receipt that it can read, and none has its long form',
  { skip },
  async () => {
    const before = { 'edgekeep-entry-version': '2' };
    const answer = accepted(await device.askForKey(link, model.name, model.version, before), releaseResponse);
    const receipt = Buffer.from(answer.receipt, 'base64url');
    assert.equal(membersOf(receipt)['type'], 'edgekeep-release-receipt/v1');
    const verdict = verifyReceipt(receipt, await fleet.world.trust());
    assert.ok(verdict.kind === 'verified' && verdict.summary.release.evidence === undefined);
    const token = await fleet.world.adminToken();
    const gone = await fleet.world.askOperator('GET', `/v1/receipts/${answer.lease.id}/long`, { token });
    assertRefused(gone, { status: 404, code: 'evidence-not-kept' });
  },
);

test('the long form needs the right to read the log, and survives the device', { skip }, async () => {
  const { world } = fleet;
  const token = await world.apiToken(['devices:read']);
  const refused = await world.askOperator('GET', `/v1/receipts/${released.lease.id}/long`, { token });
  assertRefused(refused, { status: 403, code: 'scope-missing' });
  const trust = await world.trust();
  await world.setState('press-1', 'quarantine');
  await world.setState('press-1', 'retire');
  await world.restart();
  assert.equal(await kindOf(await longOf(released), trust), 'verified');
});
