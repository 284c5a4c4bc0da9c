// What a wrapped key is for (spec/access.md, "What a wrapped key is bound to"). The context is part of the wrap, and never sent with it: the
// receiver makes its own from what it asked for, so a wrap of another lease, model or use does not open.
import { createHash, timingSafeEqual } from 'node:crypto';
import { concat, utf8 } from '../bytes.ts';
import { encodeCanonicalJson } from '../json.ts';
import type { Lease } from './lease.ts';

/** `type` of a wrapped key that is bound to its context; one without a `type` is of the form before, bound to a lease's id at most. */
export const boundWrapType = 'edgekeep-wrapped-key/v2';

/** The same with a second layer, for the device's hybrid key: the root of trust opens the secret that this layer asks for (hybrid-wrap.ts). */
export const hybridWrapType = 'edgekeep-wrapped-key/v3';

export const wrapTypes = [boundWrapType, hybridWrapType] as const;
export type WrapType = (typeof wrapTypes)[number];

export type WrapContext =
  /** `releasePolicy` is the SHA-256 of the publisher's release policy, hex; left out where the manifest has none. */
  | { readonly purpose: 'model key'; readonly lease: Lease; readonly releasePolicy?: string | undefined }
  | { readonly purpose: 'hub unlock' };

/** HPKE's `info`: the type, a zero byte, and the context in canonical JSON. */
export function encodeWrapContext(context: WrapContext, type: WrapType = boundWrapType): Uint8Array {
  const document =
    context.purpose === 'model key'
      ? {
          purpose: context.purpose,
          lease: { ...context.lease },
          ...(context.releasePolicy !== undefined && { releasePolicy: context.releasePolicy }),
        }
      : { purpose: context.purpose };
  return concat(utf8(type), Uint8Array.of(0), encodeCanonicalJson(document));
}

/** What is sealed for a TPM, whose import has no place for a context: the secret, then the context's digest. The caller zeroes it. */
export function boundSecret(secret: Uint8Array, context: WrapContext, type?: WrapType): Uint8Array {
  return concat(secret, contextDigest(context, type));
}

/** The secret in what a TPM unsealed, or undefined when it was sealed for another use. Overwrites `sealed`; the caller zeroes the secret. */
export function openBoundSecret(sealed: Uint8Array, context: WrapContext, type?: WrapType): Uint8Array | undefined {
  try {
    const expected = contextDigest(context, type);
    const secretLength = sealed.length - expected.length;
    if (secretLength < 1 || !timingSafeEqual(sealed.subarray(secretLength), expected)) return undefined;
    return Uint8Array.from(sealed.subarray(0, secretLength));
  } finally {
    sealed.fill(0);
  }
}

function contextDigest(context: WrapContext, type?: WrapType): Uint8Array {
  return createHash('sha256').update(encodeWrapContext(context, type)).digest();
}
