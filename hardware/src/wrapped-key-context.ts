// The context under which a wrapped key must open (spec/access.md, "What a wrapped key is bound to"): HPKE's info and associated data, or a
// digest in what a TPM unseals.
import {
  encodeWrapContext,
  openBoundSecret,
  type WrapContext,
  type WrapType,
} from '@edgekeep/core/access/wrap-context';
import {
  agreementHpkeInfo,
  type HpkeWrappedKey,
  type WrappedKey,
  wrappedKeyHpkeInfo,
} from '@edgekeep/core/access/wrapped-key';
import { utf8 } from '@edgekeep/core/bytes';
import { HardwareError } from './error.ts';
import type { OpenKeyOptions } from './root-of-trust.ts';

export interface HpkeContext {
  readonly wrapped: HpkeWrappedKey;
  readonly info: Uint8Array;
  readonly aad: Uint8Array;
}

/** Throws `wrapped-key-unsupported` for an import blob, and for a key whose use the caller does not name. */
export function hpkeContextOf(wrapped: WrappedKey, options: OpenKeyOptions, who: string): HpkeContext {
  const { context, leaseId, enrolling } = options;
  if (wrapped.kind === 'hpke') {
    // The secret by which an enrolling element shows that it has its agreement key opens as no model key, and the other way round.
    if (enrolling !== undefined) return { wrapped, info: utf8(agreementHpkeInfo), aad: utf8(enrolling) };
    if (wrapped.type !== undefined && context !== undefined) {
      return { wrapped, info: encodeWrapContext(context, wrapped.type), aad: new Uint8Array(0) };
    }
    if (wrapped.type === undefined && leaseId !== undefined) {
      return { wrapped, info: utf8(wrappedKeyHpkeInfo), aad: utf8(leaseId) };
    }
  }
  throw new HardwareError('wrapped-key-unsupported', `${who} opens HPKE keys of a named lease, not import blobs`);
}

/** The secret in what a TPM unsealed from a bound wrap; overwrites `sealed`. Throws `wrapped-key-refused` for one of another use. */
export function secretFor(sealed: Uint8Array, type: WrapType, context: WrapContext | undefined): Uint8Array {
  if (context === undefined) {
    sealed.fill(0);
    throw new HardwareError('wrapped-key-unsupported', 'a bound key opens for a named use only');
  }
  const secret = openBoundSecret(sealed, context, type);
  if (secret !== undefined) return secret;
  throw new HardwareError('wrapped-key-refused', 'the key was made for another device, lease or use');
}
