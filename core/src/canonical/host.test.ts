// spec/addresses.md: hosts, ports and web addresses, by the vectors of its page.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { CoreError } from '../error.ts';
import { parseJson } from '../json.ts';
import { endpointText, hostHeader, httpsUrl, parseEndpoint, parseWebAddress } from './endpoint.ts';
import { hostText, parseHost } from './host.ts';

const folder = new URL('../../../spec/vectors/addresses/', import.meta.url);
const vectorsOf = <T extends z.ZodRawShape>(name: string, shape: T) =>
  parseJson(
    readFileSync(new URL(name, folder)),
    z.array(z.strictObject({ comment: z.string(), text: z.string(), ...shape })),
    name,
  );
const refuses = (parse: () => unknown, comment: string) =>
  assert.throws(parse, (error) => error instanceof CoreError && error.code === 'address-invalid', comment);

// SECURITY.md: NET-16
test('a host is the one that its vector names, and its text is read as itself; others are refused', () => {
  for (const { comment, text, host } of vectorsOf('hosts.json', { host: z.string().nullable() })) {
    if (host === null) refuses(() => parseHost(text), comment);
    else {
      assert.equal(hostText(parseHost(text)), host, comment);
      assert.deepEqual(parseHost(host), parseHost(text), comment);
    }
  }
});

test('a host with a port is the one that its vector names; others are refused', () => {
  const endpoint = z.strictObject({ host: z.string(), port: z.number().nullable() }).nullable();
  for (const vector of vectorsOf('endpoints.json', { endpoint })) {
    if (vector.endpoint === null) refuses(() => parseEndpoint(vector.text), vector.comment);
    else {
      const { host, port } = parseEndpoint(vector.text);
      assert.deepEqual({ host: hostText(host), port: port ?? null }, vector.endpoint, vector.comment);
    }
  }
});

test('a web address is the one that its vector names, and its text is read as itself; others are refused', () => {
  const address = z.strictObject({
    protocol: z.string(),
    host: z.string(),
    port: z.number(),
    path: z.string(),
    text: z.string(),
  });
  for (const vector of vectorsOf('web-addresses.json', { address: address.nullable() })) {
    if (vector.address === null) refuses(() => parseWebAddress(vector.text), vector.comment);
    else {
      assert.deepEqual({ ...parseWebAddress(vector.text) }, vector.address, vector.comment);
      assert.deepEqual(parseWebAddress(vector.address.text), parseWebAddress(vector.text), vector.comment);
    }
  }
});

test('what is written for a host and a port is read as both again, and the URL is one to the URL Standard', () => {
  for (const host of ['127.0.0.1', '::1', '2001:db8::5', 'hub.plant.example', 'fe80::1%eth0']) {
    const endpoint = { host, port: 8_444 };
    const read = parseEndpoint(endpointText(endpoint));
    assert.deepEqual({ host: hostText(read.host), port: read.port }, endpoint);
    const { host: readHost, port } = parseWebAddress(httpsUrl(endpoint));
    assert.deepEqual({ host: readHost, port }, endpoint);
    const sent = new URL(`https://${hostHeader(endpoint)}`);
    assert.equal(sent.hostname.replaceAll(/[[\]]/g, ''), host.replace('%eth0', ''));
    assert.equal(sent.port, '8444');
  }
});

test('any text is a host with one canonical form, or refused by name', () => {
  const pieces = fc.constantFrom(
    'a',
    'ü',
    'а',
    '例',
    '.',
    '..',
    ':',
    '::',
    '[',
    ']',
    '%',
    '%25',
    '0',
    '0x',
    '10',
    '255',
    '256',
    '-',
    'xn--',
    'fe80',
    '_',
    '\u200b',
    '\u3002',
    '8443',
    '/',
    '@',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(pieces, { maxLength: 9 }).map((parts) => parts.join('')),
        fc.string({ unit: 'binary', maxLength: 40 }),
      ),
      (text) => {
        let host;
        try {
          host = parseHost(text);
        } catch (error) {
          assert.ok(error instanceof CoreError && error.code === 'address-invalid', String(error));
          return;
        }
        const written = hostText(host);
        assert.match(written, host.kind === 'name' ? /^[a-z0-9._-]{1,253}$/ : /^[0-9a-f.:]+(?:%[\w.~-]{1,15})?$/);
        assert.deepEqual(parseHost(written), host);
        // The URL Standard reads the same host.
        const bare = host.kind === 'ipv6' ? `[${host.text}]` : written;
        assert.equal(new URL(`https://${bare}/`).hostname, bare);
      },
    ),
    { numRuns: 2_000 },
  );
});
