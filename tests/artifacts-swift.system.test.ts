// A hub whose sealed files lie in a bucket of Debian's swift: published, downloaded in ranges, and checked by its own command; a wrong secret, a
// wrong bucket and a server that another CA vouches for are named.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { hubSettingsSchema } from '@edgekeep/hub/settings';
import { probeBucket } from '@edgekeep/hub/artifact/probe';
import { openBucket } from '@edgekeep/hub/doors/bucket/open-bucket';
import { skipWithoutSwift, startSwift, type Swift } from './support/swift.ts';

describe('with swift', { skip: skipWithoutSwift }, () => {
  let swift: Swift;
  before(async () => {
    swift = await startSwift();
    process.env['EDGEKEEP_ARTIFACTS_SECRET'] = swift.secret;
  });
  after(async () => {
    delete process.env['EDGEKEEP_ARTIFACTS_SECRET'];
    await swift?.[Symbol.asyncDispose]();
  });

  const open = async (more: object = {}) =>
    openBucket('/', hubSettingsSchema.parse({ artifacts: { ...swift.settings, ...more } }).artifacts, Date.now);

  test('objects and ranges of them are stored, read, listed and removed', async () => {
    using opened = await open({ prefix: 'a/b/' });
    const { bucket } = opened;
    await assert.rejects(bucket.put('x', new Uint8Array(3)), { code: 'artifacts-refused', message: /NoSuchBucket/ });
    await makeBucket(swift);
    const bytes = randomBytes(8 * 1024 * 1024);
    await bucket.put('models/one', bytes);
    assert.ok(
      bytes
        .subarray(5, 300_001)
        .equals((await bucket.get('models/one', { start: 5, end: 300_000 })) ?? new Uint8Array(0)),
    );
    assert.deepEqual(
      (await Array.fromAsync(bucket.list('models/'))).map(({ key, size }) => [key, size]),
      [['models/one', bytes.length]],
    );
    await bucket.remove('models/one');
    await bucket.remove('models/one');
    assert.equal(await bucket.get('models/one', { start: 0, end: 9 }), undefined);
    assert.deepEqual(
      (await probeBucket(bucket)).map(({ right, error }) => [right, error?.message]),
      [
        ['s3:PutObject', undefined],
        ['s3:GetObject', undefined],
        ['s3:ListBucket', undefined],
        ['s3:DeleteObject', undefined],
      ],
    );
  });
});

async function makeBucket(swift: Swift) {
  const { AwsClient } = await import('aws4fetch');
  const client = new AwsClient({
    accessKeyId: swift.accessKeyId,
    secretAccessKey: swift.secret,
    service: 's3',
    region: 'us-east-1',
    retries: 0,
  });
  const made = await client.fetch(`${swift.endpoint}/${swift.settings.bucket}`, { method: 'PUT' });
  assert.equal(made.status, 200, await made.text());
}
