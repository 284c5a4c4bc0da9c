// Appraises the DICE part of evidence (spec/dice.md): the chain under the vendor's roots, the signature of its leaf, freshness, and the layers
// against the reference values.
import { type KeyObject, verify } from 'node:crypto';
import { parseForeignCertificate, publicKeyOf } from '../identity/certificate.ts';
import { hashOf, signatureAlgorithmOf } from '../signer.ts';
import { matchBoot } from './boot-match.ts';
import { type DiceEvidence, signedStatement } from './evidence.ts';
import type { Reason } from './reason.ts';
import type { ReferenceValues } from './reference-values.ts';
import type { ReplayedLog } from './replay.ts';
import { statementReasons, type StatementExpectations } from './statement.ts';
import { type TrustVector, trustValues } from './trust-vector.ts';
import { type AppraisedLayer, appraisedLayerOf } from './dice/appraised-layer.ts';
import { type DiceLayer, type DiceTrust, validateDiceChain } from './dice/chain.ts';
import { matchLayers } from './dice/layer-match.ts';
import { parseDiceStatement } from './dice-statement.ts';

/** What the verifier knows besides the evidence. */
export interface DiceExpectations extends StatementExpectations {
  readonly trust: DiceTrust;
  /** The registered DeviceID key. */
  readonly deviceIdKey: KeyObject;
  /** Unix seconds at which the chain must be valid. */
  readonly atSeconds: number;
}

/** What is proven about a DICE device by its own evidence. */
export interface DiceFacts {
  /** P-256 HPKE public key, an uncompressed point: what model keys for this boot are sealed to. */
  readonly sealingKey: Uint8Array;
  readonly layers: readonly AppraisedLayer[];
}

export type DiceVerdict =
  | { readonly kind: 'verified'; readonly facts: DiceFacts; readonly layers: readonly DiceLayer[] }
  | { readonly kind: 'refused'; readonly reasons: readonly Reason[] };

/** Verifies chain, signature and freshness. Broken certificates and statements throw CoreError. */
export function verifyDiceEvidence(
  evidence: DiceEvidence,
  expected: DiceExpectations,
  replayedValue: (pcr: number) => Uint8Array,
): DiceVerdict {
  const { chain: sent, statement: bytes, signature } = evidence;
  const chain = validateDiceChain(
    sent.map((der, at) => parseForeignCertificate(der, `certificate ${at + 1} of the chain`)),
    expected.trust,
    expected.atSeconds,
  );
  if (chain.kind === 'refused') return chain;
  // The chain, step 5: another genuine device is still another device. A device whose chip has an identity, and which enrolled when its
  // first layer still counted as the DeviceID, keeps that DeviceID until it enrolls again.
  const known = [chain.deviceId, chain.firstLayer].some((each) => publicKeyOf(each).equals(expected.deviceIdKey));
  if (!known) {
    const message = 'the chain leads to another DeviceID key than the one this device is registered with';
    return { kind: 'refused', reasons: [{ code: 'dice-device-differs', message }] };
  }
  const key = publicKeyOf(chain.leaf);
  if (!verify(hashOf(signatureAlgorithmOf(key)), signedStatement(evidence), key, signature)) {
    const message = 'the signature over the statement does not verify under the first key of the chain';
    return { kind: 'refused', reasons: [{ code: 'signature-invalid', message }] };
  }
  const statement = parseDiceStatement(bytes);
  const reasons = statementReasons(statement, expected, replayedValue);
  if (reasons.length > 0) return { kind: 'refused', reasons };
  const { sealingKey } = statement;
  const facts = { sealingKey, layers: chain.layers.map(appraisedLayerOf) };
  return { kind: 'verified', facts, layers: chain.layers };
}

export interface LayerMatch {
  readonly referenceValues: ReferenceValues;
  /** About the layers. */
  readonly reasons: readonly Reason[];
  /** About the PCRs, where the set has events. */
  readonly bootReasons: readonly Reason[];
}

/** The set that layers and PCRs match, or the one with the fewest differences. Undefined when no set has layers. */
export function matchDiceBoot(
  layers: readonly DiceLayer[],
  replayed: ReplayedLog,
  sets: readonly ReferenceValues[],
  pcrs: readonly number[],
): LayerMatch | undefined {
  let best: LayerMatch | undefined;
  for (const referenceValues of sets) {
    if (referenceValues.layers === undefined) continue;
    const reasons = matchLayers(layers, referenceValues.layers);
    const bootReasons = matchBoot(replayed, [referenceValues], pcrs)?.reasons ?? [];
    const match = { referenceValues, reasons, bootReasons };
    if (best === undefined || count(match) < count(best)) best = match;
  }
  return best;
}

function count({ reasons, bootReasons }: LayerMatch): number {
  return reasons.length + bootReasons.length;
}

/** What the layers say about configuration and executables. */
export function layerClaims(reasons: readonly Reason[]): TrustVector {
  const { approvedConfiguration, unsupportableConfiguration, approvedBoot, contraindicatedExecutables } = trustValues;
  const flags = reasons.filter(({ code }) => code === 'dice-flag-set');
  return {
    configuration: flags.length > 0 ? unsupportableConfiguration : approvedConfiguration,
    executables: flags.length < reasons.length ? contraindicatedExecutables : approvedBoot,
  };
}
