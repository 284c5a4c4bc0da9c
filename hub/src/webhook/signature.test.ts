import assert from 'node:assert/strict';
import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { publicKeyText, secretText, signedHeaders } from './signature.ts';

const body = Buffer.from('{"type":"a","text":"Grüße"}');
const now = () => Math.floor(Date.now() / 1_000);
const message = (seconds = now()) => ({ id: 'a1_7', seconds, body });
const headersOf = (given: object): Record<string, string> => ({ ...given });

test('another implementation accepts a message that HMAC signed, by the secret as it is shown', () => {
  const secret = randomBytes(32);
  const headers = signedHeaders(message(), 'hmac-sha256', [secret]);
  assert.deepEqual(new Webhook(secretText(secret)).verify(body, headersOf(headers)), { type: 'a', text: 'Grüße' });
});

// SECURITY.md: HUB-113
test('a message that was changed, replayed later, under another id or by another secret is refused by that implementation', () => {
  const secret = randomBytes(32);
  const receiver = new Webhook(secretText(secret));
  const headers = headersOf(signedHeaders(message(), 'hmac-sha256', [secret]));
  const refuses = (changed: Record<string, string>, payload = body) =>
    assert.throws(() => receiver.verify(payload, { ...headers, ...changed }), { name: 'WebhookVerificationError' });
  refuses({}, Buffer.from('{"type":"b","text":"Grüße"}'));
  refuses({ 'webhook-id': 'a1_8' });
  refuses({ 'webhook-timestamp': String(now() + 1) });
  refuses(headersOf(signedHeaders(message(now() - 301), 'hmac-sha256', [secret])));
  refuses(headersOf(signedHeaders(message(), 'hmac-sha256', [randomBytes(32)])));
});

test('while two secrets count, receivers with either of them accept the message', () => {
  const [newer, older] = [randomBytes(32), randomBytes(32)];
  const headers = headersOf(signedHeaders(message(), 'hmac-sha256', [newer, older]));
  assert.match(headers['webhook-signature'] ?? '', /^v1,\S+ v1,\S+$/);
  for (const secret of [newer, older]) new Webhook(secretText(secret)).verify(body, headers);
});

test('the example of the specification has the signature that it gives for its secret', () => {
  const secret = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64');
  const payload = Buffer.from('{"test": 2432232314}');
  const signed = signedHeaders(
    { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', seconds: 1_614_265_330, body: payload },
    'hmac-sha256',
    [secret],
  );
  assert.equal(signed['webhook-signature'], 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});

test('a message that ed25519 signed verifies by the public key as it is shown', () => {
  const seed = randomBytes(32);
  const seconds = now();
  const headers = signedHeaders(message(seconds), 'ed25519', [seed]);
  const [, signature = ''] = /^v1a,([A-Za-z0-9+/]{86}==)$/.exec(headers['webhook-signature']) ?? [];
  const [, key = ''] = /^whpk_([A-Za-z0-9+/]{43}=)$/.exec(publicKeyText(seed)) ?? [];
  const x = Buffer.from(key, 'base64').toString('base64url');
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const content = Buffer.concat([Buffer.from(`a1_7.${seconds}.`), body]);
  assert.ok(verify(null, content, publicKey, Buffer.from(signature, 'base64')));
  content.writeUInt8(1, 3);
  assert.ok(!verify(null, content, publicKey, Buffer.from(signature, 'base64')));
});

// SECURITY.md: HUB-113
test('an id with a full stop, which could be read as another message, signs nothing', () => {
  for (const id of ['a.1', '', 'a b', 'a\n'])
    assert.throws(() => signedHeaders({ ...message(), id }, 'hmac-sha256', [randomBytes(32)]), TypeError);
});
