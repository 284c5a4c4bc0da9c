// Models that must not be published or opened: signed by an unknown key, changed on the hub's disk, exchanged for another release.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { encodeReferenceValues } from '@edgekeep/core/attest/reference-values';
import { toBase64url } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { encodeManifest, manifestDigest, parseManifest } from '@edgekeep/core/model/manifest';
import { verifyModelRelease } from '@edgekeep/core/model/release';
import { openFile } from '@edgekeep/core/model/sealed-file';
import { modelResponse, modelView } from '@edgekeep/wire/api/model-release';
import { signModelFiles } from '@edgekeep/wire/file/model-signing';
import { publisherResponse } from '@edgekeep/wire/api/publisher';
import { accepted, assertRefused } from '../support/answer.ts';
import { healthyBoot, referenceValuesOf } from '../support/boot.ts';
import { newPublisher, publicPem } from '../support/hub-world.ts';
import { SoftwareWorld } from '../support/software-world.ts';

const content = 'weights of a model '.repeat(40_000);
let fleet: SoftwareWorld;

before(async () => {
  fleet = await SoftwareWorld.open();
  await fleet.world.publishModel('surface', '1.0.0', content);
  await fleet.world.publishModel('surface', '1.1.0', content);
});
after(() => fleet?.[Symbol.asyncDispose]());

/** What a device does with a release: verify the signature, get the key, download the sealed file. */
async function fetchModel(name: string) {
  const { device, link } = fleet;
  const found = accepted(await link.ask('GET', `/v1/models/${name}`), modelResponse);
  const { wrappedKey, lease } = await device.release(link, name, found.version);
  const modelKey = await device.rootOfTrust.openKey(wrappedKey, { leaseId: lease.id });
  const [file] = found.files;
  if (file === undefined) assert.fail('the release has no file');
  const sealed = await link.ask('GET', `/v1/models/${name}/${found.version}/files/${file.path}`);
  const manifest = Buffer.from(found.manifest, 'base64url');
  return { ...found, manifest, modelKey, file, sealed: Buffer.from(sealed.body) };
}

async function opened(
  { modelKey, file, sealed, manifest }: Awaited<ReturnType<typeof fetchModel>>,
  change: { sealed?: Uint8Array; digest?: Uint8Array; path?: string } = {},
): Promise<string> {
  const binding = { path: change.path ?? file.path, manifestDigest: change.digest ?? manifestDigest(manifest) };
  const parts: Uint8Array[] = [];
  for await (const part of openFile(Readable.from([change.sealed ?? sealed]), modelKey, binding)) {
    parts.push(Uint8Array.from(part));
  }
  return Buffer.concat(parts).toString();
}

function verify(
  found: { readonly signature: string; readonly manifest: Uint8Array },
  key = fleet.world.publisher.publicKey,
) {
  return verifyModelRelease({
    bundleBytes: Buffer.from(found.signature),
    manifestBytes: found.manifest,
    trustedKeys: [key],
  });
}

test('what was published is what a device opens', async () => {
  const found = await fetchModel('surface');
  assert.equal(verify(found).kind, 'verified');
  assert.equal(await opened(found), content);
});

test('a sealed model that was changed on the hub’s disk does not open', async () => {
  const { file } = await fetchModel('surface');
  const blob = join(fleet.world.hubFolder, 'blobs', file.sealedSha256.slice(0, 2), file.sealedSha256);
  const genuine = await readFile(blob);
  const bytes = Uint8Array.from(genuine);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  await writeFile(blob, bytes);
  try {
    const found = await fetchModel('surface');
    await assert.rejects(opened(found), CoreError);
  } finally {
    await writeFile(blob, genuine);
  }
});

test('a sealed model that is cut, longer, of another path or of another release does not open', async (t) => {
  const found = await fetchModel('surface');
  const other = { ...parseManifest(found.manifest), version: '1.0.0' };
  const changes: Readonly<Record<string, Parameters<typeof opened>[1]>> = {
    cut: { sealed: found.sealed.subarray(0, -1) },
    'without its last segment': { sealed: found.sealed.subarray(0, 400_000) },
    longer: { sealed: Buffer.concat([found.sealed, Buffer.of(0)]) },
    empty: { sealed: Buffer.alloc(0) },
    'of another path': { path: 'other.bin' },
    'of another release': { digest: manifestDigest(encodeManifest(other)) },
  };
  for (const [name, change] of Object.entries(changes)) {
    await t.test(name, () => assert.rejects(opened(found, change), CoreError));
  }
});

// SECURITY.md: HUB-27
test('a device refuses a release whose manifest or signature was exchanged', async (t) => {
  const found = await fetchModel('surface');
  const manifest = parseManifest(found.manifest);
  const [file] = manifest.files;
  if (file === undefined) assert.fail('the release has no file');
  const altered = [
    { ...manifest, version: '1.2.0' },
    { ...manifest, files: [{ ...file, sha256: '00'.repeat(32) }] },
    { ...manifest, files: [file, { ...file, path: 'more.bin' }] },
    { ...manifest, guard: undefined, files: [{ ...file, role: 'data' as const }] },
  ];
  for (const [at, each] of altered.entries()) {
    await t.test(`manifest ${at}`, () => {
      const verdict = verify({ ...found, manifest: encodeManifest(each) });
      assert.equal(verdict.kind, 'refused');
      if (verdict.kind === 'refused') assert.equal(verdict.reasons[0]?.code, 'manifest-mismatch');
    });
  }
  await t.test('the signature of another publisher', () => {
    assert.equal(verify(found, newPublisher().publicKey).kind, 'refused');
  });
  await t.test('the signature of another release', async () => {
    await fleet.world.publishModel('other', '1.0.0', content);
    const { signature } = await fetchModel('other');
    assert.equal(verify({ ...found, signature }).kind, 'refused');
  });
});

test('a model signed by a key that is not trusted is refused, and is not there afterwards', async () => {
  await assert.rejects(fleet.world.publishModel('forged', '1.0.0', 'weights', newPublisher()), {
    code: 'release-invalid',
  });
  assertRefused(await fleet.link.ask('GET', '/v1/models/forged'), { status: 404, code: 'not-found' });
});

// SECURITY.md: HUB-28
test('a release that was published never changes', async (t) => {
  await t.test('by publishing it again', async () => {
    await assert.rejects(fleet.world.publishModel('surface', '1.1.0', 'other weights'), { code: 'conflict' });
  });
  await t.test('by sending another file', async () => {
    const token = await fleet.world.adminToken();
    const upload = { token, body: 'other bytes', contentType: 'application/octet-stream' };
    const answer = await fleet.world.askOperator('PUT', '/v1/models/surface/1.1.0/files/weights.bin', upload);
    assertRefused(answer, { status: 409, code: 'conflict' });
  });
  assert.equal(await opened(await fetchModel('surface')), content);
});

test('a signature does not carry over to a manifest of another name', async () => {
  const found = await fetchModel('surface');
  const manifest = encodeManifest({ ...parseManifest(found.manifest), name: 'renamed' });
  const body = {
    manifest: toBase64url(manifest),
    signature: found.signature,
    modelKey: toBase64url(new Uint8Array(32)),
  };
  await assert.rejects(fleet.world.operator.send('POST', '/v1/models', body, modelView), { code: 'release-invalid' });
  assertRefused(await fleet.link.ask('GET', '/v1/models/renamed'), { status: 404, code: 'not-found' });
});

// SECURITY.md: HUB-58
test('reference values that no trusted publisher signed, or that constrain nothing, are refused', async (t) => {
  const { world } = fleet;
  const values = referenceValuesOf(healthyBoot, '1.0');
  const file = join(world.folder, 'reference-values.json');
  const send = async (document: Uint8Array, signer = world.publisher, sent = document) => {
    await writeFile(file, document);
    const signature = Buffer.from(await signModelFiles(file, { signer, ignorePaths: [] })).toString('utf8');
    const body = JSON.stringify({ document: toBase64url(sent), signature });
    return world.askOperator('POST', '/v1/reference-values', { token: await world.adminToken(), body });
  };
  await t.test('signed by a stranger', async () => {
    const answer = await send(encodeReferenceValues(values), newPublisher());
    assertRefused(answer, { status: 422, code: 'reference-values-refused' });
  });
  await t.test('changed after signing', async () => {
    const answer = await send(
      encodeReferenceValues(values),
      world.publisher,
      encodeReferenceValues({ ...values, version: '2.0' }),
    );
    assertRefused(answer, { status: 422, code: 'reference-values-refused', reason: 'digest-mismatch' });
  });
  await t.test('every event optional', async () => {
    const events = values.events.map((event) => ({ ...event, optional: true as const }));
    const answer = await send(encodeReferenceValues({ ...values, events }));
    assertRefused(answer, { status: 400, code: 'request-invalid', reason: 'reference-values-invalid' });
  });
  await t.test('on PCRs that anybody can reset', async () => {
    const events = values.events.map((event) => ({ ...event, pcr: 23 }));
    const answer = await send(encodeReferenceValues({ ...values, events }));
    assertRefused(answer, { status: 400, code: 'request-invalid', reason: 'reference-values-invalid' });
  });
});

test('a private key, or a key that cannot sign models, is not taken as a publisher’s', async () => {
  const { world } = fleet;
  const pem = publicPem(world.publisher);
  for (const publicKey of [pem.replaceAll('PUBLIC', 'PRIVATE'), 'no key', pem.slice(0, -40)]) {
    const sent = world.operator.send('POST', '/v1/publishers', { name: 'x', publicKey }, publisherResponse);
    await assert.rejects(sent, { code: 'request-invalid' });
  }
});
