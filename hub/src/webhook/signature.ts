// Signatures of webhooks, as Standard Webhooks 1.0.0 writes them: HMAC-SHA256 (`v1`) or ed25519 (`v1a`) over `ID.SECONDS.BODY`, by each valid secret.
import { createHmac, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { concat, utf8 } from '@edgekeep/core/bytes';
import type { WebhookSigning } from '@edgekeep/wire/api/webhook';

export interface WebhookMessage {
  /** Stays the same when the message is sent again. No full stop: it separates what is signed. */
  readonly id: string;
  /** Of this attempt, unix seconds. */
  readonly seconds: number;
  readonly body: Uint8Array;
}

export interface WebhookHeaders {
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
}

/** The three headers; `secrets` sign in this order. */
export function signedHeaders(
  { id, seconds, body }: WebhookMessage,
  signing: WebhookSigning,
  secrets: readonly Uint8Array[],
): WebhookHeaders {
  if (!/^[A-Za-z0-9_-]+$/.test(id)) throw new TypeError(`${id} cannot be the id of a webhook message`);
  const content = concat(utf8(`${id}.${seconds}.`), body);
  const signatures = secrets.map((secret) => signatureOf(content, signing, secret));
  return { 'webhook-id': id, 'webhook-timestamp': String(seconds), 'webhook-signature': signatures.join(' ') };
}

function signatureOf(content: Uint8Array, signing: WebhookSigning, secret: Uint8Array): string {
  return signing === 'ed25519'
    ? `v1a,${sign(null, content, privateKeyOf(secret)).toString('base64')}`
    : `v1,${createHmac('sha256', secret).update(content).digest('base64')}`;
}

/** How receivers write a secret of HMAC. */
export function secretText(secret: Uint8Array): string {
  return `whsec_${Buffer.from(secret).toString('base64')}`;
}

/** How receivers write the public key of ed25519; `seed` is its secret. */
export function publicKeyText(seed: Uint8Array): string {
  const { x = '' } = createPublicKey(privateKeyOf(seed)).export({ format: 'jwk' });
  return `whpk_${Buffer.from(x, 'base64url').toString('base64')}`;
}

// RFC 8410 section 7: what comes before the 32 bytes of a seed.
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

function privateKeyOf(seed: Uint8Array): KeyObject {
  const der = Buffer.concat([pkcs8Prefix, seed]);
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}
