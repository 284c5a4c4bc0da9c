// Two nodes of one hub with a bucket of Debian's swift: what one node takes, the other serves, also an upload that one node began.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { publishModel } from '@edgekeep/cli/model/publication';
import { operatorFromFile } from '@edgekeep/cli/operator';
import { modelResponse } from '@edgekeep/wire/api/model-release';
import { policyView } from '@edgekeep/wire/api/policy';
import { accepted } from './support/answer.ts';
import { breakingProxy, operatorFileAt } from './support/breaking-proxy.ts';
import { policyForAnyTier } from './support/software-world.ts';
import { makeSwiftBucket, skipWithoutSwift, startSwift } from './support/swift.ts';
import { TestDevice } from './support/test-device.ts';
import { nodesTest, TwoNodes } from './support/two-nodes.ts';

const skip = nodesTest.skip === false ? skipWithoutSwift : nodesTest.skip;

test(
  'an upload that breaks at one node goes on at another, and each node serves what the other took',
  { skip },
  async () => {
    await using swift = await startSwift();
    await makeSwiftBucket(swift);
    process.env['EDGEKEEP_ARTIFACTS_SECRET'] = swift.secret;
    const scratch = await mkdtemp(join(tmpdir(), 'edgekeep-artifacts-'));
    try {
      await using nodes = await TwoNodes.open({ settings: { artifacts: swift.settings } });
      const { a, b } = nodes;
      await a.operator.send('PUT', '/v1/policy', { text: policyForAnyTier }, policyView);
      const ports = [a, b].map(({ hub }) => hub.operatorAddress.port);
      await using proxy = await breakingProxy(ports, [10_000_000]);
      const operator = await operatorFromFile(await operatorFileAt(a, scratch, proxy.port));
      const path = join(scratch, 'weights.bin');
      await writeFile(path, randomBytes(12_000_000));
      const order = { path, name: 'large', version: '1.0.0', signer: a.publisher, withoutOrt: true };
      const release = await publishModel(operator, { ...order, progress: () => undefined });
      assert.equal(proxy.broken(), 1);
      assert.equal(release.state, 'published');
      await a.publishModel('small', '1.0.0', 'taken by the first node');
      await using device = await TestDevice.withoutTpm('software', join(scratch, 'device'));
      await device.enroll(a);
      for (const { hub, hubFolder } of [a, b]) {
        await using link = await device.connect(hub);
        const { files } = accepted(await link.ask('GET', '/v1/models/small'), modelResponse);
        const { path: name, sealedSize } = files[0] ?? assert.fail();
        assert.equal((await link.ask('GET', `/v1/models/small/1.0.0/files/${name}`)).body.length, sealedSize);
        await device.releaseBound(link, 'small', '1.0.0');
        assert.deepEqual(
          (await readdir(hubFolder)).filter((each) => ['blobs', 'evidence'].includes(each)),
          [],
        );
      }
    } finally {
      delete process.env['EDGEKEEP_ARTIFACTS_SECRET'];
      await rm(scratch, { recursive: true });
    }
  },
);
