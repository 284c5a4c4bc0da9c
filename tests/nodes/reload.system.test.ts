// What an operator changes at one node is in force at the other soon, without a restart and without a request that asks for it.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { toBase64 } from '@edgekeep/core/bytes';
import { testRoot } from '@edgekeep/core/identity/testing-roots';
import { authorityOverview } from '@edgekeep/wire/api/authority';
import { countryNetworksView, policyView } from '@edgekeep/wire/api/policy';
import { vendorRootTrust } from '@edgekeep/wire/api/vendor-root';
import { witnessPolicyView } from '@edgekeep/wire/api/audit';
import { z } from 'zod';
import type { HubWorld } from '../support/hub-world.ts';
import { newPublisher, publicPem } from '../support/hub-world.ts';
import { firstPerson } from '../support/people.ts';
import { policyForAnyTier } from '../support/software-world.ts';
import { nodesTest, TwoNodes, until } from '../support/two-nodes.ts';

let nodes: TwoNodes;
const opened = new AsyncDisposableStack();
before(async () => {
  if (nodesTest.skip === false) nodes = opened.use(await TwoNodes.open());
});
after(() => opened.disposeAsync());

async function order(at: HubWorld, method: string, path: string, body: object): Promise<void> {
  const answer = await (await firstPerson(at)).ask(method, path, body);
  assert.equal(answer.status, 200, `${method} ${path}: ${Buffer.from(answer.body).toString()}`);
}

test('a policy that is applied at one node is in force at the other', nodesTest, async () => {
  const { a, b } = nodes;
  const { version } = await a.operator.send('PUT', '/v1/policy', { text: policyForAnyTier }, policyView);
  await until(
    () => b.operator.get('/v1/policy', policyView),
    (policy) => policy.version === version,
  );
});

test('a witness policy that is set at one node is in force at the other', nodesTest, async () => {
  const { a, b } = nodes;
  const document = { quorum: 2, tiers: ['software'], whenUnmet: 'name-weaker', text: null };
  await order(a, 'PUT', '/v1/witness-policy', document);
  await until(
    () => b.operator.get('/v1/witness-policy', witnessPolicyView),
    ({ quorum }) => quorum === 2,
  );
});

test('a maker that is trusted at one node is trusted at the other', nodesTest, async () => {
  const { a, b } = nodes;
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const { certificate } = await testRoot({
    notBeforeSeconds: nowSeconds - 86_400,
    notAfterSeconds: nowSeconds + 86_400_000,
  });
  await order(a, 'POST', '/v1/vendor-roots', { kind: 'dice', certificates: [toBase64(certificate.der)] });
  await until(
    () => b.operator.get('/v1/vendor-roots/trust?kind=dice', vendorRootTrust),
    ({ anchors }) => anchors.length === 1,
  );
});

test('countries that are set at one node are looked up at the other', nodesTest, async () => {
  const { a, b } = nodes;
  await order(a, 'PUT', '/v1/countries', { networks: [{ network: '192.0.2.0/24', country: 'AT' }] });
  await until(
    () => b.operator.get('/v1/countries', countryNetworksView),
    ({ networks }) => networks.length === 1,
  );
});

test('an address that is blocked at one node cannot connect to the other', nodesTest, async () => {
  const { a, b } = nodes;
  await order(a, 'POST', '/v1/blocked-addresses', { network: '127.0.0.77', seconds: 600, reason: 'a test' });
  const { host, port } = b.hub.deviceAddress;
  const isCut = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect({ host, port, localAddress: '127.0.0.77' });
      // A listener that admits it waits for its first bytes.
      socket.once('connect', () => socket.write('x'));
      socket.once('close', () => resolve(true)).once('error', () => resolve(true));
      socket.setTimeout(200, () => {
        socket.destroy();
        resolve(false);
      });
    });
  await until(isCut, (cut) => cut);
});

test('a publisher that is trusted at one node is in the trust file of the other', nodesTest, async () => {
  const { a, b } = nodes;
  const publicKey = publicPem(newPublisher());
  const before = (await b.trust()).publisherKeys.length;
  await order(a, 'POST', '/v1/publishers', { name: 'second', publicKey });
  await until(
    () => b.trust(),
    ({ publisherKeys }) => publisherKeys.length === before + 1,
  );
});

test('an issuing CA that is requested at one node is known at the other', nodesTest, async () => {
  const { a, b } = nodes;
  const requests = z.object({ requests: z.array(z.looseObject({ id: z.string() })) });
  const made = await a.operator.send('POST', '/v1/authorities/request', { classes: ['device'] }, requests);
  const { issuing } = await until(
    () => b.operator.get('/v1/authorities', authorityOverview),
    (found) => found.issuing.some(({ id }) => id === made.requests[0]?.id),
  );
  assert.ok(issuing.length > 0);
});
