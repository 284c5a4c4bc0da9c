// Bytes that are no HTTP, and hostile HTTP, on both listeners: a 4xx answer or a closed connection, and the next client is served.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import * as fc from 'fast-check';
import { assertNamedAnswer, fuzzInputs } from '../support/fuzzing.ts';
import { HubWorld } from '../support/hub-world.ts';
import { byteChange, changedBytes } from '../support/mutation.ts';

/** Each of them takes a TLS handshake. */
const inputs = Math.ceil(fuzzInputs(1_200) / 4);
const host = 'host: localhost\r\n';
const listeners = ['device', 'operator'] as const;

let world: HubWorld;
before(async () => {
  world = await HubWorld.open();
});
after(() => world?.[Symbol.asyncDispose]());

const seeds: readonly string[] = [
  `GET /healthz HTTP/1.1\r\n${host}\r\n`,
  `POST /v1/recover/challenge HTTP/1.1\r\n${host}content-type: application/json\r\ncontent-length: 16\r\n\r\n{"deviceId":"x"}`,
  `POST /v1/tokens HTTP/1.1\r\n${host}transfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\n4\r\n{"a"\r\n3\r\n:1}\r\n0\r\n\r\n`,
  `GET /v1/devices HTTP/1.1\r\n${host}authorization: Bearer ek_x\r\nrange: bytes=0-1\r\n\r\n`,
];

const harmful: Readonly<Record<string, string>> = {
  'two lengths': `POST /v1/bind HTTP/1.1\r\n${host}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`,
  'length and chunks at once': `POST /v1/bind HTTP/1.1\r\n${host}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET`,
  'a negative length': `POST /v1/bind HTTP/1.1\r\n${host}content-length: -1\r\n\r\n`,
  'a length beyond every limit': `POST /v1/bind HTTP/1.1\r\n${host}content-type: application/json\r\ncontent-length: 99999999999\r\n\r\n`,
  'no host': 'GET /healthz HTTP/1.1\r\n\r\n',
  'another version': `GET /healthz HTTP/9.9\r\n${host}\r\n`,
  'an unknown method': `BREW /healthz HTTP/1.1\r\n${host}\r\n`,
  CONNECT: `CONNECT example.org:443 HTTP/1.1\r\n${host}\r\n`,
  'an upgrade': `GET /healthz HTTP/1.1\r\n${host}connection: upgrade\r\nupgrade: websocket\r\n\r\n`,
  'a header without end': `GET /healthz HTTP/1.1\r\n${host}x: ${'y'.repeat(40_000)}`,
  'very many headers': `GET /healthz HTTP/1.1\r\n${host}${'x: y\r\n'.repeat(5_000)}\r\n`,
  'a header with a bare line feed': `GET /healthz HTTP/1.1\r\n${host}x: a\nadmin: yes\r\n\r\n`,
  'an address that is not one': `GET /v1/%zz HTTP/1.1\r\n${host}\r\n`,
  'an absolute address of another host': `GET http://example.org/v1/devices HTTP/1.1\r\n${host}\r\n`,
  'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
};

test('an honest request is answered here', async () => {
  for (const listener of listeners)
    assert.match(await talk(listener, Buffer.from(seeds[1] ?? '')), /^HTTP\/1\.1 [24]\d\d .*"/s);
});

for (const [name, text] of Object.entries(harmful)) {
  test(`${name} gives nothing away`, async () => {
    for (const listener of listeners) assertHarmless(name, await talk(listener, Buffer.from(text)));
    await assertServes();
  });
}

test(
  'spoiled requests and random bytes are answered with a 4xx or a closed connection',
  { timeout: 240_000 + inputs * 100 },
  async () => {
    const bytes = fc.oneof(
      fc
        .tuple(fc.constantFrom(...seeds), fc.array(byteChange, { minLength: 1, maxLength: 4 }))
        .map(([seed, changes]) =>
          changes.reduce<Uint8Array>((each, change) => changedBytes(each, change), Buffer.from(seed)),
        ),
      fc.uint8Array({ minLength: 1, maxLength: 500 }),
    );
    await fc.assert(
      fc.asyncProperty(bytes, fc.constantFrom(...listeners), async (each, listener) => {
        const answer = await talk(listener, each);
        const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
        assert.ok(status < 500, `answered with ${answer.slice(0, 300)}`);
      }),
      { numRuns: inputs, endOnFailure: true },
    );
    await assertServes();
  },
);

test('a client that sends half a request holds nobody up', async () => {
  const half = connectTo(world.hub.operatorAddress);
  half.write('POST /v1/tokens HTTP/1.1\r\ncontent-length: 100\r\n\r\n{');
  await assertServes();
  half.destroy();
});

function addressOf(listener: (typeof listeners)[number]) {
  return listener === 'device' ? world.hub.deviceAddress : world.hub.operatorAddress;
}

function connectTo(address: { readonly host: string; readonly port: number }) {
  return connect({ ...address, ca: world.hub.rootPem, servername: 'localhost' }).on('error', () => undefined);
}

/** Everything received until the hub closed the connection, or answered and kept waiting. */
async function talk(listener: (typeof listeners)[number], bytes: Uint8Array): Promise<string> {
  const socket = connectTo(addressOf(listener));
  let answer = '';
  const done = new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
      if (answer.includes('\r\n\r\n')) resolve();
    });
  });
  // The client sends no more: an incomplete request is over then, and the hub need not wait for its end.
  socket.end(bytes);
  await done;
  socket.destroy();
  return answer;
}

/** Health is public; everything else must be refused, and a JSON refusal must have the form that clients read. */
function assertHarmless(name: string, answer: string): void {
  if (answer === '') return;
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0);
  if (status === 200) {
    assert.equal(body, '{"status":"alive"}', name);
    return;
  }
  assert.ok(status >= 400 && status < 500, `${name}: ${head}`);
  // Node itself answers some of these, in plain text.
  if (/^content-type: application\/json/im.test(head))
    assertNamedAnswer(name, { status, body: Buffer.from(body, 'latin1') });
}

async function assertServes(): Promise<void> {
  const answer = await world.askOperator('GET', '/healthz');
  assert.equal(answer.status, 200);
}
