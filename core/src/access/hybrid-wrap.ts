// The second layer of a wrapped key (spec/access.md, "Hybrid wraps"): the model key under the device's hybrid key, in HPKE's mode psk. The psk is
// what the root of trust opens. So the root of trust alone opens nothing, and neither does the hybrid key.
import { concat, parseBase64url, toBase64url, utf8 } from '../bytes.ts';
import { hybridOpen, hybridSeal, type HybridSealInput, hybridSuite } from '../identity/hybrid-hpke.ts';
import { encodeWrapContext, hybridWrapType, type WrapContext } from './wrap-context.ts';
import type { HybridLayer } from './wrapped-key.ts';

/** Bytes of the secret that the first layer carries. */
export const HYBRID_PSK_LENGTH = 32;

const pskId = utf8(hybridWrapType);

export interface HybridLayerInput {
  readonly recipientPublicKey: HybridSealInput['recipientPublicKey'];
  readonly modelKey: Uint8Array;
  /** Fresh and random, 32 bytes. */
  readonly psk: Uint8Array;
  readonly context: WrapContext;
}

export function sealHybridLayer({ recipientPublicKey, modelKey, psk, context }: HybridLayerInput): HybridLayer {
  const info = encodeWrapContext(context, hybridWrapType);
  const sealed = hybridSeal({ recipientPublicKey, info, psk: { psk, pskId }, plaintext: modelKey });
  return {
    suite: hybridSuite,
    encapsulatedKey: toBase64url(sealed.encapsulatedKey),
    ciphertext: toBase64url(sealed.ciphertext),
  };
}

/** The model key; the caller zeroes it. Throws `hpke-open` for a layer of another device, first layer or use. */
export function openHybridLayer(
  layer: HybridLayer,
  { seed, psk, context }: { readonly seed: Uint8Array; readonly psk: Uint8Array; readonly context: WrapContext },
): Uint8Array {
  return hybridOpen({
    seed,
    encapsulatedKey: parseBase64url(layer.encapsulatedKey, 'encapsulated key'),
    ciphertext: parseBase64url(layer.ciphertext, 'wrapped key'),
    info: encodeWrapContext(context, hybridWrapType),
    psk: { psk, pskId },
  });
}

/** HPKE's `info` of the secret by which a device shows that it has the hybrid key it names. */
export function hybridKeyProofInfo(deviceId: string): Uint8Array {
  return concat(utf8('edgekeep hybrid key proof v1'), Uint8Array.of(0), utf8(deviceId));
}
