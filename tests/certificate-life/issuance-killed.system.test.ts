// kill -9 of the hub while it issues and renews: a certificate that a client received is recorded with its log entry, and no two have the
// same serial number.
import assert from 'node:assert/strict';
import { createHash, randomInt } from 'node:crypto';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { toHex } from '@edgekeep/core/bytes';
import { serialText } from '@edgekeep/core/identity/certificate';
import { parseCertificates } from '@edgekeep/core/identity/cms-certificates';
import { encodePem } from '@edgekeep/core/identity/pem';
import { z } from 'zod';
import { HubProcess } from '../support/hub-process.ts';
import { HubWorld } from '../support/hub-world.ts';
import { Steps } from '../support/steps.ts';
import { newOperationalKey } from '../support/test-device.ts';
import { loggedIn, rowsIn } from '../support/outside-store.ts';

const kills = Number(process.env['EDGEKEEP_KILLS'] ?? 4);
const clients = 6;
// More than a hub uses before it dies, so that every kill falls into the middle of the work.
const tokensEachLife = 300;
/** Certificates that the clients have received when a hub is killed, with others under way. */
const stepsEachLife = 40;

test(`a hub that is killed ${kills} times while it issues`, { timeout: 240_000 + kills * 60_000 }, async (t) => {
  await using world = await HubWorld.open();
  const { rootPem } = world.hub;
  const order = { tier: 'software' } as const;
  const tokens: string[] = [];
  // A few at a time: a thousand connections at once would wait for each other's handshakes until they time out.
  const makeTokens = async () => {
    for (let left = kills * tokensEachLife - tokens.length; left > 0; left = kills * tokensEachLife - tokens.length)
      tokens.push(await world.enrollmentToken(order));
  };
  await Promise.all(Array.from({ length: clients }, makeTokens));
  await world.stop();
  const keys = await Promise.all(tokens.map(async (_, at) => newOperationalKey(`line-${at}`)));

  const received: Uint8Array[] = [];
  const steps = new Steps();
  let renewed = 0;
  let next = 0;
  for (let life = 0; life < kills; life += 1) {
    await using hub = await HubProcess.start(world.hubFolder, world.operatorFile, rootPem);
    const ask = async () => {
      while (next < tokens.length) {
        const at = (next += 1) - 1;
        const [token, key] = [tokens[at], keys[at]];
        if (token === undefined || key === undefined) return;
        const id = `line-${at}`;
        const authorization = `Basic ${Buffer.from(`${id}:${token}`).toString('base64')}`;
        const first = await post(hub, 'simpleenroll', key.request, { headers: { authorization } });
        // The hub is dead.
        if (first === undefined) return;
        received.push(first);
        steps.take();
        const mutual = { cert: pemOf(first), key: key.privateKeyPem };
        const second = await post(hub, 'simplereenroll', (await newOperationalKey(id)).request, mutual);
        if (second === undefined) return;
        received.push(second);
        renewed += 1;
        steps.take();
      }
    };
    const killing = steps.more(randomInt(clients + 1, stepsEachLife)).then(() => hub.kill());
    await Promise.all([killing, ...Array.from({ length: clients }, ask)]);
  }
  t.diagnostic(`${received.length} certificates received, ${renewed} of them renewals`);
  assert.ok(renewed > 0, 'nothing was renewed');
  assert.ok(received.length > kills, `only ${received.length} certificates were received`);

  const certificates = received.flatMap((message) => parseCertificates(message));
  const known = await rowsIn(world.place, 'select serial, sha256 from certificate');
  const rows = new Map(known.map((row) => [row['serial'], row['sha256']]));
  const logged = new Set(
    z
      .array(z.object({ kind: z.string(), data: z.looseObject({ certificate: z.unknown().optional() }) }))
      .parse(await loggedIn(world.place))
      .filter(({ kind }) => kind === 'device-enrolled' || kind === 'certificate-renewed')
      .map(({ data }) => data.certificate),
  );
  const serials = new Set<string>();
  for (const certificate of certificates) {
    const sha256 = toHex(createHash('sha256').update(certificate.der).digest());
    assert.equal(rows.get(serialText(certificate)), sha256, 'a certificate that is not recorded');
    assert.ok(logged.has(sha256), 'a certificate without an entry in the log');
    serials.add(serialText(certificate));
  }
  assert.equal(serials.size, certificates.length, 'two certificates with one serial number');
  assert.equal(logged.size, rows.size, 'a recorded certificate without an entry, or the other way round');
});

/** The certificates in the answer; undefined when there was none, because the hub was killed. */
async function post(
  hub: HubProcess,
  operation: 'simpleenroll' | 'simplereenroll',
  certificateRequest: Uint8Array,
  {
    headers = {},
    ...client
  }: { readonly headers?: OutgoingHttpHeaders; readonly cert?: string; readonly key?: string },
): Promise<Uint8Array | undefined> {
  const { host, port } = hub.deviceAddress;
  const options = {
    ...client,
    method: 'POST',
    host,
    port,
    path: `/.well-known/est/${operation}`,
    headers: { ...headers, 'content-type': 'application/pkcs10' },
    ca: hub.rootPem,
    servername: 'localhost',
    agent: false,
  };
  const outgoing = request(options);
  const answered = new Promise<IncomingMessage | undefined>((resolve) => {
    outgoing.once('response', resolve);
    // A connection that is reset may report it more than once, even after its answer.
    outgoing.on('error', () => resolve(undefined));
    outgoing.once('close', () => resolve(undefined));
  });
  outgoing.end(Buffer.from(certificateRequest).toString('base64'));
  const response = await answered;
  // A response that was cut off in the middle does not count.
  const body = response === undefined ? undefined : await text(response).catch(() => undefined);
  if (response === undefined || body === undefined || !response.complete) return undefined;
  if (response.statusCode !== 200) throw new Error(`${operation}: status ${response.statusCode}: ${body}`);
  return Buffer.from(body, 'base64');
}

function pemOf(message: Uint8Array): string {
  const [leaf] = parseCertificates(message);
  assert.ok(leaf !== undefined);
  return encodePem('CERTIFICATE', leaf.der);
}
