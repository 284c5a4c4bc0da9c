// A hub whose sealed files and evidence lie in a bucket of Debian's swift: published, downloaded in ranges, checked by its own command; a wrong
// secret, a missing bucket and a changed object are named.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { HubError } from '@edgekeep/hub/common/error';
import { checkHub } from '@edgekeep/hub/commands/check/check';
import { moveArtifacts } from '@edgekeep/hub/commands/move-artifacts';
import { startHub } from '@edgekeep/hub/wiring/start';
import { type HubSettings, hubSettingsSchema, readHubSettings } from '@edgekeep/hub/settings';
import { probeBucket } from '@edgekeep/hub/artifact/probe';
import { openBucket } from '@edgekeep/hub/doors/bucket/open-bucket';
import { alertList } from '@edgekeep/wire/api/alert';
import { jobList } from '@edgekeep/wire/api/job';
import { modelResponse } from '@edgekeep/wire/api/model-release';
import { accepted } from './support/answer.ts';
import { SoftwareWorld } from './support/software-world.ts';
import { makeSwiftBucket, skipWithoutSwift, startSwift, type Swift } from './support/swift.ts';

const secretVariable = 'EDGEKEEP_ARTIFACTS_SECRET';

const skip = skipWithoutSwift === false ? await skipWithout('openssl') : skipWithoutSwift;

// SECURITY.md: HUB-154
test(
  'over HTTPS the server is trusted by artifacts.caFile alone, and nothing is sent to one that another CA vouches for',
  { skip },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'edgekeep-bucket-tls-'));
    try {
      const made = async (name: string) => {
        const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
        const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
        const form = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
        await promisify(execFile)('openssl', [...form, '-keyout', key, '-out', certificate, ...subject]);
        return { key: await readFile(key, 'utf8'), certificate: await readFile(certificate, 'utf8') };
      };
      await made('other');
      await using swift = await startSwift(await made('server'));
      process.env[secretVariable] = swift.secret;
      const probe = async (caFile: string | null) => {
        const { artifacts } = hubSettingsSchema.parse({ artifacts: { ...swift.settings, caFile } });
        using opened = await openBucket(folder, artifacts, Date.now);
        const [step] = await probeBucket(opened.bucket);
        return step?.error;
      };
      // The way is trusted: only the bucket is missing.
      assert.match((await probe('server.pem'))?.message ?? '', /NoSuchBucket/);
      for (const caFile of ['other.pem', null]) {
        const error = await probe(caFile);
        assert.ok(error instanceof HubError && error.code === 'artifacts-refused', String(error));
        assert.match(error.message, /no answer: .*(?:certificate|self-signed)/i);
      }
      await assert.rejects(probe('server.key'), { code: 'settings-invalid', message: /no certificate in PEM/ });
    } finally {
      delete process.env[secretVariable];
      await rm(folder, { recursive: true });
    }
  },
);

describe('with swift', { skip: skipWithoutSwift }, () => {
  let swift: Swift;
  before(async () => {
    swift = await startSwift();
    process.env[secretVariable] = swift.secret;
  });
  after(async () => {
    delete process.env[secretVariable];
    await swift?.[Symbol.asyncDispose]();
  });

  const settingsOf = (more: object = {}): HubSettings['artifacts'] =>
    hubSettingsSchema.parse({ artifacts: { ...swift.settings, ...more } }).artifacts;
  const open = async (more: object = {}) => openBucket('/', settingsOf(more), Date.now);

  test('objects and ranges of them are stored, read, listed and removed', async () => {
    using opened = await open({ prefix: 'a/b/' });
    const { bucket } = opened;
    await assert.rejects(bucket.put('x', new Uint8Array(3)), { code: 'artifacts-refused', message: /NoSuchBucket/ });
    await makeSwiftBucket(swift);
    const bytes = randomBytes(8 * 1024 * 1024);
    await bucket.put('models/one', bytes);
    const range = await bucket.get('models/one', { start: 5, end: 300_000 });
    assert.ok(bytes.subarray(5, 300_001).equals(range ?? new Uint8Array(0)));
    const listed = await Array.fromAsync(bucket.list('models/'));
    assert.deepEqual(
      listed.map(({ key, size }) => [key, size]),
      [['models/one', bytes.length]],
    );
    await bucket.remove('models/one');
    await bucket.remove('models/one');
    assert.equal(await bucket.get('models/one', { start: 0, end: 9 }), undefined);
    assert.deepEqual(
      (await probeBucket(bucket)).map(({ right, error }) => [right, error?.message]),
      ['s3:PutObject', 's3:GetObject', 's3:ListBucket', 's3:DeleteObject'].map((right) => [right, undefined]),
    );
  });

  // SECURITY.md: HUB-154
  test('a wrong secret and an unknown access key are refused, by name and without the secret', async () => {
    process.env[secretVariable] = 'not-the-secret';
    try {
      for (const accessKeyId of [swift.accessKeyId, 'hub:other']) {
        using opened = await open({ accessKeyId });
        const [step = assert.fail()] = await probeBucket(opened.bucket);
        assert.match(step.error?.message ?? '', /put probe\/[0-9a-f]+: 403 \w+: /);
        assert.doesNotMatch(step.error?.message ?? '', /not-the-secret/);
      }
    } finally {
      process.env[secretVariable] = swift.secret;
    }
  });

  // SECURITY.md: HUB-151
  test('a device downloads from the bucket what was published, evidence lies there too, and a changed object is served to nobody', async () => {
    await makeSwiftBucket(swift);
    const prefix = 'whole/';
    await using scene = await SoftwareWorld.open({ artifacts: { ...swift.settings, prefix } });
    const { world, device } = scene;
    const content = randomBytes(400_000).toString('base64');
    await world.publishModel('surface', '1.0.0', content);
    await device.releaseBound(scene.link, 'surface', '1.0.0');
    using opened = await open({ prefix });
    const { bucket } = opened;
    const keys = (await Array.fromAsync(bucket.list(''))).map(({ key }) => key);
    const models = keys.filter((key) => /^models\/[0-9a-f]{32}\/\d{6}-[0-9a-f]{64}$/.test(key));
    assert.ok(models.length > 0 && keys.some((key) => /^evidence\/[0-9a-f]{2}\/[0-9a-f]{64}$/.test(key)), String(keys));
    assert.equal(
      (await readdir(world.hubFolder)).some((name) => ['blobs', 'evidence'].includes(name)),
      false,
    );
    const { files } = accepted(await scene.link.ask('GET', '/v1/models/surface'), modelResponse);
    const { path, sealedSize, sealedSha256 } = files[0] ?? assert.fail();
    const url = `/v1/models/surface/1.0.0/files/${path}`;
    const whole = await scene.link.ask('GET', url);
    assert.equal(whole.body.length, sealedSize);
    const { jobs } = await world.operator.get('/v1/jobs', jobList);
    for (const name of ['artifact-probe', 'artifact-clean-up'])
      assert.ok(
        jobs.some((job) => job.name === name),
        name,
      );
    const [key = ''] = models;
    await bucket.put(key, randomBytes(100_000));
    const refused = await scene.link.ask('GET', url);
    assert.equal(refused.status, 500);
    assert.match(refused.body.toString(), /artifact-lost/);
    // Where the bucket is, is for operators.
    assert.doesNotMatch(refused.body.toString(), /models\/|127\.0\.0\.1|bucket/);
    for (;;) {
      const { alerts } = await world.operator.get('/v1/alerts?kind=artifact-lost&state=any', alertList);
      const [alert] = alerts;
      if (alert === undefined) continue;
      assert.deepEqual(alert.data, { sha256: sealedSha256 });
      break;
    }
  });

  test('a stopped hub goes over to the bucket and back: digests are compared, a second run copies nothing, and what is lost is named', async () => {
    await makeSwiftBucket(swift);
    const prefix = 'moved/';
    await using scene = await SoftwareWorld.open();
    const { world, device } = scene;
    const { hubFolder } = world;
    await world.publishModel('surface', '1.0.0', 'weights');
    await device.releaseBound(scene.link, 'surface', '1.0.0');
    await world.stop();
    const file = join(hubFolder, 'hub.json');
    const before: object = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify({ ...before, artifacts: { ...swift.settings, kind: 'folder', prefix } }));
    const kind = async () => (await readHubSettings(hubFolder)).artifacts.kind;
    const move = async (to: 'folder' | 's3', leaveLost = false) => {
      const moved = await moveArtifacts(hubFolder, { to, leaveLost, clock: Date.now, progress: () => undefined });
      return { ...moved, lost: moved.lost.length };
    };
    assert.deepEqual(await move('s3'), { to: 's3', files: 1, present: 0, evidence: 2, lost: 0, inUse: true });
    assert.deepEqual(await move('s3'), { to: 's3', files: 0, present: 1, evidence: 2, lost: 0, inUse: true });
    assert.equal(await kind(), 's3');
    for (const name of ['blobs', 'evidence']) await rm(join(hubFolder, name), { recursive: true });
    {
      await using hub = await startHub(hubFolder, await readHubSettings(hubFolder), world.clock.now);
      await using link = await device.connect(hub);
      const { files } = accepted(await link.ask('GET', '/v1/models/surface'), modelResponse);
      const { path, sealedSize } = files[0] ?? assert.fail();
      assert.equal((await link.ask('GET', `/v1/models/surface/1.0.0/files/${path}`)).body.length, sealedSize);
      await device.releaseBound(link, 'surface', '1.0.0');
    }
    assert.deepEqual(await move('folder'), { to: 'folder', files: 1, present: 0, evidence: 2, lost: 0, inUse: true });
    // A file of the right length that was damaged is copied again.
    const [name = ''] = (await readdir(join(hubFolder, 'blobs'), { recursive: true })).filter(
      (each) => each.length > 64,
    );
    const copy = join(hubFolder, 'blobs', name);
    await writeFile(copy, Buffer.alloc((await readFile(copy)).length));
    assert.equal((await move('folder')).files, 1);
    await rm(copy);
    assert.deepEqual(await move('s3'), { to: 's3', files: 0, present: 1, evidence: 2, lost: 0, inUse: true });
    using opened = await open({ prefix });
    for await (const { key } of opened.bucket.list('models/')) await opened.bucket.put(key, Buffer.from('other'));
    assert.deepEqual(await move('folder'), { to: 'folder', files: 0, present: 0, evidence: 2, lost: 1, inUse: false });
    assert.equal(await kind(), 's3');
    assert.equal((await move('folder', true)).inUse, true);
    assert.equal(await kind(), 'folder');
  });

  test('`hub check` tries each right at the bucket, and says what is missing', async () => {
    await makeSwiftBucket(swift);
    await using scene = await SoftwareWorld.open({ artifacts: swift.settings });
    const { hubFolder } = scene.world;
    const found = async () =>
      (await checkHub(hubFolder, Date.now()))
        .filter(({ subject }) => subject === 'artifacts')
        .map(({ state, found: text }) => `${state}: ${text}`);
    assert.deepEqual(await found(), [
      `ok: ${swift.endpoint}/edgekeep-models/: an object was stored, read in part, listed and removed`,
    ]);
    const file = join(hubFolder, 'hub.json');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('edgekeep-models', 'edgekeep-nothing'));
    assert.match((await found()).join('\n'), /^failed: s3:PutObject: .*NoSuchBucket/);
    delete process.env[secretVariable];
    try {
      assert.match((await found()).join('\n'), /^failed: no secret for artifacts\.accessKeyId/);
    } finally {
      process.env[secretVariable] = swift.secret;
    }
  });
});
