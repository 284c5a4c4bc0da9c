// kill -9 of the hub while it issues: a certificate that a client received is recorded with its log entry, and no two have one serial number.
import assert from 'node:assert/strict';
import { createHash, randomInt } from 'node:crypto';
import { request } from 'node:https';
import { DatabaseSync } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { toHex } from '@edgekeep/core/bytes';
import { serialText } from '@edgekeep/core/identity/certificate';
import { parseCertificates } from '@edgekeep/core/identity/cms-certificates';
import { HubProcess } from '../support/hub-process.ts';
import { HubWorld } from '../support/hub-world.ts';
import { newOperationalKey } from '../support/test-device.ts';

const kills = Number(process.env['EDGEKEEP_KILLS'] ?? 4);
const clients = 6;
// More than a hub spends before it dies, so that every kill falls into the middle of the work.
const tokensEachLife = 300;
const lifeMsMost = 400;

test(`a hub that is killed ${kills} times while it issues`, { timeout: 60_000 + kills * 15_000 }, async (t) => {
  await using world = await HubWorld.open();
  const { rootPem } = world.hub;
  const order = { tier: 'software' } as const;
  const tokens = await Promise.all(Array.from({ length: kills * tokensEachLife }, () => world.enrolmentToken(order)));
  await world.stop();
  const requests = await Promise.all(tokens.map(async (_, at) => (await newOperationalKey(`line-${at}`)).request));

  const received: Uint8Array[] = [];
  let next = 0;
  for (let life = 0; life < kills; life += 1) {
    const hub = await HubProcess.start(world.hubFolder, world.operatorFile, rootPem);
    const ask = async () => {
      while (next < tokens.length) {
        const at = (next += 1) - 1;
        const body = await enrol(hub, `line-${at}`, tokens[at] ?? '', requests[at] ?? new Uint8Array(0)).catch(
          () => undefined,
        );
        // The hub is dead.
        if (body === undefined) return;
        received.push(Buffer.from(body, 'base64'));
      }
    };
    const asking = Array.from({ length: clients }, ask);
    await pause(randomInt(50, lifeMsMost));
    await hub.kill();
    await Promise.all(asking);
  }
  t.diagnostic(`${received.length} certificates received, ${next} asked for`);
  assert.ok(received.length > kills, `only ${received.length} certificates were received`);

  const certificates = received.flatMap((message) => parseCertificates(message));
  using store = new DatabaseSync(world.storeFile, { readOnly: true });
  const rows = new Map(
    store
      .prepare('select serial, sha256 from certificate')
      .all()
      .map((row) => [row['serial'], row['sha256']]),
  );
  const logged = new Set(
    store
      .prepare('select entry from audit_entry')
      .all()
      .map(({ entry }) => JSON.parse(Buffer.from(entry instanceof Uint8Array ? entry : []).toString('utf8')))
      .filter(({ kind }) => kind === 'device-enrolled')
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

async function enrol(hub: HubProcess, id: string, token: string, certificateRequest: Uint8Array): Promise<string> {
  const { host, port } = hub.deviceAddress;
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/pkcs10',
      authorization: `Basic ${Buffer.from(`${id}:${token}`).toString('base64')}`,
    };
    const path = '/.well-known/est/simpleenroll';
    const options = { method: 'POST', host, port, path, headers, ca: hub.rootPem, servername: 'localhost' };
    const outgoing = request(options, (response) => {
      const body = text(response);
      response.once('close', () => {
        if (response.statusCode === 200 && response.complete) resolve(body);
        else reject(new Error(`status ${response.statusCode}`));
      });
      body.catch(reject);
    });
    outgoing.once('error', reject);
    outgoing.end(Buffer.from(certificateRequest).toString('base64'));
  });
}
