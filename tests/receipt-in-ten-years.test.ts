// A receipt of yesterday, read ten years later: its device and its witness are retired, the model is withdrawn, the maker's root is removed, and
// the key that signed the attestation result was stolen and replaced. It verifies with the root, the trust file and the maker's root alone.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MakerRoots } from '@edgekeep/core/access/evidence-origin';
import { verifyLongReceipt } from '@edgekeep/core/access/long-receipt';
import { certifiedTrust, type Trust } from '@edgekeep/core/access/trust';
import { isStale } from '@edgekeep/core/authority/key-list-follow';
import { readCertificateFile } from '@edgekeep/core/identity/certificate-file';
import { signsItself } from '@edgekeep/core/identity/maker-authority';
import { hubKeysView, keyRequestResponse } from '@edgekeep/wire/api/authority';
import { vendorRootList } from '@edgekeep/wire/api/vendor-root';
import { z } from 'zod';
import { OfflineRoot } from './support/offline-root.ts';
import { model, skipWithoutTpm, TpmWorld } from './support/tpm-world.ts';
import { TestWitness } from './support/witness.ts';

const tenYearsMs = 10 * 365 * 86_400_000;
let fleet: TpmWorld;
before(async () => {
  if (skipWithoutTpm === false) fleet = await TpmWorld.open();
});
after(() => fleet?.[Symbol.asyncDispose]());

function makersOf({ root, intermediate }: TpmWorld['vendor']): MakerRoots {
  const parsed = [root, intermediate].flatMap((pem) => readCertificateFile(Buffer.from(pem), 'vendor').certificates);
  const intermediates = parsed.filter((each) => !signsItself(each));
  return { tpm: { anchors: parsed.filter(signsItself), intermediates }, dice: { anchors: [], intermediates: [] } };
}

/** The long form of a release that another device witnessed. */
async function releasedYesterday(): Promise<Uint8Array> {
  const { world } = fleet;
  const device = await fleet.device('press-1');
  const witness = await fleet.device('press-2');
  await using link = await device.connect(world.hub);
  await using witnessLink = await witness.connect(world.hub);
  const { lease } = await device.releaseBound(link, model.name, model.version);
  const seconds = Math.floor(world.clock.now() / 1_000);
  await new TestWitness(world.hub.logKey, witness.witness).checkIn(witnessLink, seconds);
  return world.operator.getBytes(`/v1/receipts/${lease.id}/long`);
}

async function endEverything(root: OfflineRoot): Promise<void> {
  const { world } = fleet;
  world.clock.advanceSeconds(86_400);
  const order = { purposes: ['attestation-result'], stolenAt: world.clock.now() };
  const { request } = await world.operator.send('POST', '/v1/authorities/keys/request', order, keyRequestResponse);
  const list = { keyList: await root.signKeys(request) };
  await world.operator.send('POST', '/v1/authorities/keys/list', list, hubKeysView);
  for (const id of ['press-1', 'press-2']) {
    await world.setState(id, 'quarantine');
    await world.setState(id, 'retire');
  }
  const answered = z.looseObject({});
  await world.operator.send('POST', `/v1/models/${model.name}/${model.version}/withdraw`, {}, answered);
  const { roots } = await world.operator.get('/v1/vendor-roots?kind=tpm&limit=100', vendorRootList);
  for (const { sha256 } of roots) {
    await world.operator.send('DELETE', `/v1/vendor-roots/tpm/${sha256}?force=true&reason=gone`, undefined, answered);
  }
}

test(
  'a receipt of yesterday verifies in ten years, when all that made it has ended',
  { skip: skipWithoutTpm },
  async (t) => {
    const { world } = fleet;
    const root = await OfflineRoot.open(join(world.folder, 'root'), world.clock.now);
    const receipt = await releasedYesterday();
    const makers = makersOf(fleet.vendor);
    await endEverything(root);
    const served = await world.trust();
    assert.equal(served.attestationKeys[0]?.compromised, true);
    t.mock.timers.enable({ apis: ['Date'], now: world.clock.now() + tenYearsMs });
    const certified = certifiedTrust(served, [root.certificate], Math.floor(Date.now() / 1_000));
    assert.ok(certified.kind === 'certified', JSON.stringify(certified));
    assert.equal(
      isStale(certified.list, Math.floor(Date.now() / 1_000)),
      true,
      'the reader learns that the list is old',
    );
    const verdict = verifyLongReceipt(receipt, certified.trust, makers);
    assert.ok(verdict.kind === 'verified', JSON.stringify(verdict));
    assert.equal(verdict.summary.weaker, undefined);
    assert.deepEqual(
      verdict.summary.log.cosignatures.map(({ witness }) => witness),
      ['edgekeep.test/device/press-2'],
    );
    assert.ok(verdict.summary.evidence.origin.kind === 'verified');
    refusedWithout(receipt, certified.trust, makers);
  },
);

/** What the reader has matters: each part is needed. */
function refusedWithout(receipt: Uint8Array, trust: Trust, makers: MakerRoots): void {
  const [stolen] = trust.attestationKeys;
  assert.ok(stolen !== undefined);
  const poorer: readonly (readonly [string, Trust, MakerRoots])[] = [
    ['the key that signed the result', { ...trust, attestationKeys: trust.attestationKeys.slice(1) }, makers],
    ['its time', { ...trust, attestationKeys: [{ ...stolen, untilSeconds: stolen.fromSeconds + 1 }] }, makers],
    ['the publisher', { ...trust, publisherKeys: [] }, makers],
    ['the witness', { ...trust, policy: { ...trust.policy, witnesses: [] } }, makers],
    ['the maker', trust, { ...makers, tpm: { anchors: [], intermediates: [] } }],
  ];
  for (const [name, known, roots] of poorer)
    assert.equal(verifyLongReceipt(receipt, known, roots).kind, 'refused', name);
}
