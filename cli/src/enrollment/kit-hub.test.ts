import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../command.ts';
import { hubIn, reachedByName } from './kit-hub.ts';

const given = (text: string) => hubIn({ option: () => text });

test('a kit takes a host with a port or without, in any form', () => {
  assert.equal(hubIn({ option: () => undefined }), undefined);
  assert.deepEqual(given('Hub.Example'), { host: 'hub.example', port: undefined });
  assert.deepEqual(given('[2001:DB8::5]:443'), { host: '2001:db8::5', port: 443 });
  assert.deepEqual(given('2001:db8::5'), { host: '2001:db8::5', port: undefined });
  assert.deepEqual(reachedByName('2001:db8::5'), { host: '2001:db8::5', port: undefined });
});

test('an address that only this machine can use gets into no kit', () => {
  const refused = (act: () => unknown, message: RegExp) =>
    assert.throws(act, (error) => error instanceof UsageError && message.test(error.message));
  for (const text of ['0.0.0.0', '::', '[::]:8443'])
    refused(() => given(text), /^--hub: .*a listener has this address/);
  for (const text of ['fe80::1%eth0', '[fe80::1]:8443']) refused(() => given(text), /only the device knows/);
  refused(() => given('10.0.0.300'), /^--hub: "10\.0\.0\.300": an IPv4 address/);
  refused(() => given('hub:0'), /a port is a number from 1 to 65535/);
  refused(() => reachedByName('*.edge.example'), /name it by --hub/);
  refused(() => reachedByName('0.0.0.0'), /name it by --hub/);
});
