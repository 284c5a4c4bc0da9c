// A test device with a hybrid key: it names the key to its hub, asks for hybrid wraps, and opens them, each step honest or not.
import { randomBytes } from 'node:crypto';
import { hybridKeyProofInfo, openHybridLayer } from '@edgekeep/core/access/hybrid-wrap';
import { boundToAsk } from '@edgekeep/core/access/release-ask';
import { hybridWrapType, type WrapContext } from '@edgekeep/core/access/wrap-context';
import { hybridKeyQualifyingData, type HybridKeySubject } from '@edgekeep/core/attest/hybrid-key-subject';
import { evidenceDocument } from '@edgekeep/core/attest/evidence';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { hybridOpen } from '@edgekeep/core/identity/hybrid-hpke';
import { XWING_SEED_LENGTH, xwingPublicKey } from '@edgekeep/core/post-quantum/xwing';
import {
  entryVersionHeader,
  receiptVersionHeader,
  receiptVersionTwo,
  releaseResponse,
  saltedEntryVersion,
} from '@edgekeep/wire/api/access';
import { identityKeys } from '@edgekeep/wire/api/device';
import { hybridKeyChallengeResponse, hybridKeyResponse } from '@edgekeep/wire/api/hybrid-key';
import type { z } from 'zod';
import { accepted, type Answer } from './answer.ts';
import type { DeviceLink, Released } from './device-link.ts';
import { type TestDevice, testOrigin } from './test-device.ts';

const releaseHeaders = { [entryVersionHeader]: saltedEntryVersion, [receiptVersionHeader]: receiptVersionTwo };

/** What an attacker does in place of the device. */
export interface HybridKeyChanges {
  /** The key in the request, in place of that of `seed`. */
  readonly key?: Uint8Array;
  readonly secret?: Uint8Array;
  readonly subject?: Partial<HybridKeySubject>;
  /** The evidence, in place of that for the key; gets the nonce. */
  readonly evidence?: (nonce: Uint8Array) => Promise<object>;
}

type SealedSecret = z.infer<typeof hybridKeyChallengeResponse>;

export function newSeed(): Uint8Array {
  return randomBytes(XWING_SEED_LENGTH);
}

/** Both steps; the answer that ended them. */
export async function tryHybridKey(
  device: TestDevice,
  link: DeviceLink,
  seed: Uint8Array,
  changes: HybridKeyChanges = {},
): Promise<Answer> {
  const { key = xwingPublicKey(seed) } = changes;
  const nonce = await link.challenge();
  const started = await link.ask('POST', '/v1/hybrid-key/challenge', { key: toBase64url(key) });
  if (started.status !== 200) return started;
  const { encapsulatedKey, ciphertext } = accepted(started, hybridKeyChallengeResponse);
  const sealed = { encapsulatedKey, ciphertext };
  const proof = await hybridKeyProof(device, seed, { nonce, exporter: link.exporter, sealed }, changes);
  return link.ask('POST', '/v1/hybrid-key', proof);
}

/** The second step's request. */
export async function hybridKeyProof(
  device: TestDevice,
  seed: Uint8Array,
  { nonce, exporter, sealed }: { nonce: Uint8Array; exporter: Uint8Array; sealed: SealedSecret },
  changes: HybridKeyChanges = {},
): Promise<object> {
  const secret =
    changes.secret ??
    hybridOpen({
      seed,
      encapsulatedKey: parseBase64url(sealed.encapsulatedKey, 'encapsulated key'),
      ciphertext: parseBase64url(sealed.ciphertext, 'secret'),
      info: hybridKeyProofInfo(device.id),
    });
  const subject: HybridKeySubject = {
    hub: testOrigin,
    deviceId: device.id,
    keys: identityKeys(await device.identity()),
    hybridKey: xwingPublicKey(seed),
    exporter,
    ...changes.subject,
  };
  const honest = async () => evidenceDocument(await device.signedEvidence(hybridKeyQualifyingData(nonce, subject)));
  const evidence = await (changes.evidence === undefined ? honest() : changes.evidence(nonce));
  return { secret: toBase64url(secret), evidence };
}

export async function registerHybridKey(device: TestDevice, link: DeviceLink, seed: Uint8Array): Promise<void> {
  accepted(await tryHybridKey(device, link, seed), hybridKeyResponse);
}

/** Asks for a key in one of these wraps. */
export async function askForWraps(
  device: TestDevice,
  link: DeviceLink,
  release: { readonly name: string; readonly version: string },
  wraps: readonly string[],
  sent: object = {},
): Promise<Answer> {
  const ask = { model: release.name, version: release.version, wraps };
  const proof = await device.releaseProof(await link.challenge(), boundToAsk(link.exporter, ask), 'bound-release');
  return link.send('POST', '/v1/releases', JSON.stringify({ ...ask, ...proof, ...sent }), releaseHeaders);
}

/** A key in a hybrid wrap that must be released. */
export async function releaseHybrid(
  device: TestDevice,
  link: DeviceLink,
  release: { readonly name: string; readonly version: string },
): Promise<Released> {
  return accepted(await askForWraps(device, link, release, [hybridWrapType]), releaseResponse);
}

/** The model key: by the root of trust, then by the hybrid key. */
export async function openHybrid(
  { rootOfTrust }: TestDevice,
  { wrappedKey, lease }: Released,
  seed: Uint8Array,
): Promise<Uint8Array> {
  if (wrappedKey.hybrid === undefined) throw new TypeError('expected a second layer');
  const context: WrapContext = { purpose: 'model key', lease };
  const psk = await rootOfTrust.openKey(wrappedKey, { context, leaseId: lease.id });
  return openHybridLayer(wrappedKey.hybrid, { seed, psk, context });
}
