import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { type TestContext, test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { toHex } from '@edgekeep/core/bytes';
import { HardwareError } from '@edgekeep/hardware/error';
import { channelBinding } from '@edgekeep/wire/link/channel-binding';
import { makeTestAuthority } from '@edgekeep/wire/link/testing-authority';
import { tlsServerOptions } from '@edgekeep/wire/link/tls';
import { Prover } from '../attest/attest.ts';
import type { Answer } from '../hub-api.ts';
import { type Bound, HubLink } from './connection.ts';
import { HubTime } from './hub-time.ts';
import type { Identity } from './identity.ts';
import { Lifetime, readClocks } from './lifetime.ts';

const authority = await makeTestAuthority('test hub');
const zeroNonce = new Uint8Array(32);
const clocks = { clock: Date.now, elapsed: () => performance.now() };

interface FakeHub {
  readonly port: number;
  /** Exporter and path of every request, in order. */
  readonly asked: { readonly exporter: string; readonly path: string }[];
  readonly sockets: Set<TLSSocket>;
}

type Bind = (times: number) => { readonly status: number; readonly body: object };

/** A hub that knows certificates of the test authority and answers `/v1/bind` as `bind` says. */
async function startHub(t: TestContext, bind: Bind): Promise<FakeHub> {
  const hub: FakeHub & { port: number } = { port: 0, asked: [], sockets: new Set() };
  let binds = 0;
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const { socket, url = '' } = request;
    if (!(socket instanceof TLSSocket)) throw new TypeError('expected TLS');
    hub.asked.push({ exporter: toHex(channelBinding(socket)), path: url });
    request.resume();
    const { status, body } = url === '/v1/bind' ? bind(++binds) : { status: 200, body: {} };
    request.once('end', () => response.writeHead(status, { date: new Date().toUTCString() }).end(JSON.stringify(body)));
  };
  const options = { ...authority.server, clientAuthoritiesPem: [authority.authorityPem] } as const;
  const server = createServer(
    { ...tlsServerOptions({ ...options, clientCertificate: 'required' }), keepAliveTimeout: 0 },
    answer,
  );
  server.on('secureConnection', (socket) => {
    hub.sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => hub.sockets.delete(socket));
  });
  t.after(() => {
    for (const socket of hub.sockets) socket.destroy();
    server.close();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('expected a port');
  hub.port = address.port;
  return hub;
}

interface Seen {
  readonly link: HubLink;
  readonly signed: string[];
  readonly refused: string[];
  readonly failed: unknown[];
  /** Resolves at the next connection that is bound. */
  readonly next: () => Promise<Bound>;
  /** Resolves at the next refusal. */
  readonly nextRefusal: () => Promise<void>;
}

function linkTo(
  t: TestContext,
  port: number,
  acquire?: () => Promise<Answer<Identity>>,
  otherPorts: readonly number[] = [],
): Seen {
  const signed: string[] = [];
  const refused: string[] = [];
  const failed: unknown[] = [];
  const bounds: Bound[] = [];
  let bound = Promise.withResolvers<void>();
  let refusal = Promise.withResolvers<void>();
  const attest = async (data: Uint8Array) => {
    signed.push(toHex(data));
    const bytes = new Uint8Array([1]);
    return { kind: 'software', statement: bytes, signature: bytes } as const;
  };
  const prover = new Prover({ rootOfTrust: { attest }, eventLog: () => new Uint8Array([2]), imaLogFile: undefined });
  const life = new Lifetime(readClocks(clocks), 3_600_000);
  const credential = { ...authority.device, life, notAfterMs: Date.now() + 3_600_000 };
  // Like recovery, without its two requests: this hub asks for a certificate from the first packet on.
  const identity: Answer<Identity> = { kind: 'ok', value: { credential, pcrs: [0, 7] } };
  const link = new HubLink({
    hub: { host: '127.0.0.1', port },
    otherAddresses: otherPorts.map((other) => ({ host: '127.0.0.1', port: other })),
    authorities: () => [authority.authorityPem],
    generalAuthority: () => 'accepted',
    prover,
    acquire: acquire ?? (async () => identity),
    renew: () => Promise.reject(new Error('nothing lives long enough here to be renewed')),
    onConnected: (next) => {
      bounds.push(next);
      bound.resolve();
    },
    onDisconnected: () => {},
    onRenewed: () => {},
    onRefused: (step, { code }) => {
      refused.push(`${step} ${code}`);
      refusal.resolve();
    },
    onFailed: (error) => failed.push(error),
    backoff: { firstDelayMs: 2, maxDelayMs: 4 },
    clocks,
    hubTime: new HubTime(clocks),
    random: () => 0,
  });
  t.after(() => link[Symbol.asyncDispose]());
  return {
    link,
    signed,
    refused,
    failed,
    next: async () => {
      while (bounds.length === 0) await bound.promise;
      bound = Promise.withResolvers();
      const [first] = bounds.splice(0, 1);
      assert.ok(first);
      return first;
    },
    nextRefusal: async () => {
      await refusal.promise;
      refusal = Promise.withResolvers();
    },
  };
}

const yes = (more: object = {}) => ({ status: 200, body: { deviceId: 'pump-7', state: 'active', ...more } });
const no = (code: string, status = 403) => ({ status, body: { error: { code, message: 'no', reasons: [] } } });

test('a device whose node ends is bound at another one, and at the first again when that ends', async (t) => {
  const [one, two] = [await startHub(t, () => yes()), await startHub(t, () => yes())];
  const { next } = linkTo(t, one.port, undefined, [two.port]);
  await next();
  assert.deepEqual([one.asked.length, two.asked.length], [1, 0]);
  for (const socket of one.sockets) socket.destroy();
  await next();
  assert.deepEqual([one.asked.length, two.asked.length], [1, 1]);
  for (const socket of two.sockets) socket.destroy();
  await next();
  assert.deepEqual([one.asked.length, two.asked.length], [2, 1]);
});

test('a device reaches its hub at another address where nothing listens at the first', async (t) => {
  const hub = await startHub(t, () => yes());
  // Nothing listens on port 1.
  const { next, failed } = linkTo(t, 1, undefined, [hub.port]);
  await next();
  assert.equal(failed.length, 1);
});

test('a new connection is bound before anything else is asked on it, by one quote over its own exporter', async (t) => {
  const hub = await startHub(t, () => yes());
  const { link, signed, next } = linkTo(t, hub.port);
  await next();
  await link.send({ method: 'GET', path: '/v1/whoami' });
  assert.deepEqual(
    hub.asked.map(({ path }) => path),
    ['/v1/bind', '/v1/whoami'],
  );
  const [{ exporter } = { exporter: '' }] = hub.asked;
  assert.deepEqual(signed, [toHex(qualifyingData('bind', zeroNonce, Buffer.from(exporter, 'hex')))]);
});

test('what the hub makes of the evidence comes with the answer to bind, with what it must be about', async (t) => {
  const hub = await startHub(t, (times) => yes(times === 1 ? { attestationResult: 'a.signed.result' } : {}));
  const { signed, next } = linkTo(t, hub.port);
  const { state, attestation } = await next();
  assert.deepEqual([state, attestation?.token], ['active', 'a.signed.result']);
  assert.equal(toHex(attestation?.nonce ?? new Uint8Array()), signed[0]);
  // A hub of the version before says nothing of it.
  for (const socket of hub.sockets) socket.destroy();
  assert.equal((await next()).attestation, undefined);
});

for (const how of ['destroy', 'end'] as const) {
  test(`after a cut (${how}) the agent connects again, and binds the new connection`, async (t) => {
    const hub = await startHub(t, () => yes());
    const { link, next, signed } = linkTo(t, hub.port);
    for (let times = 0; times < 3; times += 1) {
      await next();
      await link.send({ method: 'GET', path: '/v1/whoami' });
      for (const socket of hub.sockets) socket[how]();
    }
    await next();
    const binds = hub.asked.filter(({ path }) => path === '/v1/bind');
    assert.equal(new Set(binds.map(({ exporter }) => exporter)).size, 4);
    assert.equal(signed.length, 4);
  });
}

test('a connection that the hub does not bind is not used, and the next one is tried', async (t) => {
  const hub = await startHub(t, (times) => (times < 3 ? no('identity-in-use', 409) : yes()));
  const { link, next, refused, nextRefusal } = linkTo(t, hub.port);
  await nextRefusal();
  assert.throws(() => void link.send({ method: 'GET', path: '/secret' }), { code: 'hub-offline' });
  await next();
  assert.deepEqual(refused, ['bind identity-in-use', 'bind identity-in-use']);
  assert.equal(new Set(hub.asked.map(({ exporter }) => exporter)).size, 3);
  assert.ok(hub.asked.every(({ path }) => path === '/v1/bind'));
});

test('a hub in trouble is a failure of the attempt, and no refusal of the device', async (t) => {
  const hub = await startHub(t, (times) => (times === 1 ? no('unexpected', 500) : yes()));
  const { next, refused, failed } = linkTo(t, hub.port);
  await next();
  assert.deepEqual(refused, []);
  assert.deepEqual(
    failed.map((error) => error instanceof Error && 'code' in error && error.code),
    ['hub-refused'],
  );
});

test('a link that is disposed while it is being bound ends, and closes what it opened', async (t) => {
  const arrived = Promise.withResolvers<void>();
  const hub = await startHub(t, () => {
    arrived.resolve();
    return yes();
  });
  const { link } = linkTo(t, hub.port);
  await arrived.promise;
  const closed = [...hub.sockets].map((socket) => once(socket, 'close'));
  await link[Symbol.asyncDispose]();
  await Promise.all(closed);
  assert.equal(link.connected, false);
});

test('a cause that cannot heal ends the attempts, and one that can is tried again', async (t) => {
  const hub = await startHub(t, () => yes());
  let broken = 0;
  const asked = Promise.withResolvers<void>();
  linkTo(t, hub.port, async () => {
    broken += 1;
    asked.resolve();
    throw new HardwareError('tpm-failure-mode', 'broken');
  });
  await asked.promise;
  // Another device beside it, with the same pauses, that has a silent TPM.
  let silent = 0;
  const often = Promise.withResolvers<void>();
  linkTo(t, hub.port, async () => {
    silent += 1;
    if (silent === 10) often.resolve();
    throw new HardwareError('tpm-timeout', 'silent');
  });
  await often.promise;
  assert.equal(broken, 1);
});
