// The certificate chain of a DICE device (spec/dice.md, "The chain"): a valid path to a vendor's root, an unbroken run of layers in it, and
// certificates that meet DICE Certificate Profiles 1.0. layer-match.ts decides what the layers should contain.
import { printable } from '../../canonical/printable.ts';
import { CoreError } from '../../error.ts';
import { type Certificate, publicKeyOf } from '../../identity/certificate.ts';
import type { Certificates } from '../../identity/certificate-index.ts';
import { equalNames, nameText } from '../../identity/distinguished-name.ts';
import { certificateDigests } from '../../identity/certificate-identity.ts';
import { type PathResult, validatePath } from '../../identity/path.ts';
import { signatureAlgorithmOf } from '../../signer.ts';
import { diceExtensionOid, diceKeyPurposeOid } from './oid.ts';
import type { DiceReason, DiceReasonCode } from './reason.ts';
import { type ReadTcbInfo, tcbInfosIn } from './tcb-info.ts';

/** The vendors that the operator trusts to certify genuine chips. */
export interface DiceTrust {
  readonly anchors: Certificates;
  /** Certificates between anchors and devices that devices do not carry; any number. */
  readonly intermediates: Certificates;
  /**
   * Digests (`certificateDigests`, hex) of the certificates that the operator trusts no more: a path with one is refused, also when the device sent
   * it. An attacker who stole the key of an authority has its certificate too.
   */
  readonly removed?: ReadonlySet<string> | undefined;
}

export interface DiceLayer {
  readonly layer: number;
  readonly index: number;
  readonly tcbInfo: ReadTcbInfo;
}

export interface DiceChain {
  /** The certificate of the key that signs evidence. */
  readonly leaf: Certificate;
  readonly deviceId: Certificate;
  /** The certificate of the first layer with a TcbInfo. It is the DeviceID itself, unless an identity of the chip issued it. */
  readonly firstLayer: Certificate;
  /** From the first layer to the leaf. */
  readonly layers: readonly DiceLayer[];
}

export type DiceChainResult =
  | ({ readonly kind: 'valid' } & DiceChain)
  | { readonly kind: 'refused'; readonly reasons: readonly DiceReason[] };

const MESSAGE_LENGTH_MAX = 400;

const known: readonly string[] = Object.values(diceExtensionOid);

/** Validates what a device sent, leaf first. Broken DICE extensions throw `der-invalid` or `encoding-invalid`. */
export function validateDiceChain(
  certificates: readonly Certificate[],
  trust: DiceTrust,
  atSeconds: number,
): DiceChainResult {
  const path = pathOf(certificates, trust, atSeconds);
  if (path.kind === 'refused') return refused('dice-path-refused', path.reasons);
  // Step 2: the unbroken run of layers.
  const links = path.chain.map((certificate) => ({ certificate, infos: tcbInfosIn(certificate.extensions.all) }));
  const end = links.findIndex(({ infos }) => infos.length === 0);
  const own = end === -1 ? links : links.slice(0, end);
  const above = end === -1 ? undefined : links[end]?.certificate;
  const identity = above !== undefined && isIdentity(above) ? above : undefined;
  const missing = missingLayers(links, own.length, identity !== undefined);
  if (missing.length > 0) return refused('dice-layer-missing', missing);
  // Step 3: the profile.
  const profile: string[] = own.flatMap(({ certificate }, at) =>
    at === 0 ? leafReasons(certificate) : issuerReasons(certificate),
  );
  if (identity !== undefined) profile.push(...identityReasons(identity));
  if (profile.length > 0) return refused('dice-profile-refused', profile);
  // Step 4: the layers in their order.
  const upwards = own.toReversed();
  const [first] = upwards;
  const [leaf] = own;
  const layers = numbered(upwards.map(({ infos }) => infos));
  if (layers.kind === 'refused') return refused('dice-layer-order', layers.reasons);
  if (first === undefined || leaf === undefined) return refused('dice-layer-missing', ['the chain has no layers']);
  const deviceId = identity ?? first.certificate;
  const firstLayer = first.certificate;
  return { kind: 'valid', leaf: leaf.certificate, deviceId, firstLayer, layers: layers.layers };
}

/**
 * The index of the DeviceID certificate in a device's certificates, leaf first: the identity that issued the first layer, as a Caliptra
 * LDevID does, or the first layer itself, the last of the unbroken run. -1 without any layer.
 */
export function deviceIdPosition(certificates: readonly Certificate[]): number {
  const end = certificates.findIndex(({ extensions }) => tcbInfosIn(extensions.all).length === 0);
  const above = certificates[end];
  if (end > 0 && above !== undefined && isIdentity(above)) return end;
  return (end === -1 ? certificates.length : end) - 1;
}

/**
 * A chip's own identity above its measured layers: an authority that names the chip by a UEID, or whose key purposes say that it is an
 * identity (DICE Certificate Profiles 1.0). It measures nothing and does not change with firmware. A maker's authority has neither.
 */
function isIdentity({ extensions: { all, basicConstraints, extendedKeyUsage } }: Certificate): boolean {
  const { identityInit, identityLoc } = diceKeyPurposeOid;
  const named = all.some(({ oid }) => oid === diceExtensionOid.ueid);
  const purposed = extendedKeyUsage?.some((purpose) => purpose === identityInit || purpose === identityLoc) === true;
  return basicConstraints?.authority === true && (named || purposed);
}

export type DeviceIdResult =
  | {
      readonly kind: 'valid';
      /** The DeviceID certificate first, the anchor last. */ readonly chain: readonly Certificate[];
    }
  | { readonly kind: 'refused'; readonly reasons: readonly DiceReason[] };

/** A single DeviceID certificate, followed by its issuers: path and profile. Throws as `validateDiceChain`. */
export function validateDeviceId(
  certificates: readonly Certificate[],
  trust: DiceTrust,
  atSeconds: number,
): DeviceIdResult {
  const path = pathOf(certificates, trust, atSeconds);
  const [leaf] = certificates;
  if (path.kind === 'refused' || leaf === undefined) {
    return refused('dice-path-refused', path.kind === 'refused' ? path.reasons : ['the chain is empty']);
  }
  const [own, ...above] = path.chain.map((certificate) => tcbInfosIn(certificate.extensions.all).length > 0);
  if (own !== true && !isIdentity(leaf)) {
    return refused('dice-layer-missing', [
      `${shown(leaf)} has no TcbInfo, and is no identity of a chip: it has no UEID`,
    ]);
  }
  const [, issuer] = path.chain;
  // A layer's key changes with firmware: if a chip has an identity below it, that identity is the device.
  const layerOfIdentity = own === true && issuer !== undefined && isIdentity(issuer);
  if (above.includes(true) || layerOfIdentity) {
    return refused('dice-device-differs', [`${shown(leaf)} is of a layer above the DeviceID`]);
  }
  if (own !== true) {
    const wrong = identityReasons(leaf);
    return wrong.length > 0 ? refused('dice-profile-refused', wrong) : { kind: 'valid', chain: path.chain };
  }
  const { basicConstraints } = leaf.extensions;
  const authority = basicConstraints?.authority === true ? [] : [`${shown(leaf)} is not an authority`];
  const profile = [...authority, ...issuerReasons(leaf)];
  return profile.length > 0 ? refused('dice-profile-refused', profile) : { kind: 'valid', chain: path.chain };
}

// Step 1: RFC 5280. The profile defines the purpose of a DICE key. Strangers send chains too, so there is no search among their
// certificates: in order and with each name once, a chain costs no more signatures than it has certificates.
function pathOf(certificates: readonly Certificate[], trust: DiceTrust, atSeconds: number): PathResult {
  const [leaf, ...sent] = certificates;
  if (leaf === undefined) return { kind: 'refused', reasons: ['the chain is empty'] };
  const reasons = certificates.flatMap((certificate, at) => {
    const issuer = certificates[at + 1];
    if (certificates.slice(0, at).some(({ subject }) => equalNames(subject, certificate.subject)))
      return [`${shown(certificate)} occurs twice in the chain`];
    if (issuer !== undefined && !equalNames(issuer.subject, certificate.issuer))
      return [`${shown(certificate)} was not issued by the next certificate, ${shown(issuer)}`];
    return [];
  });
  if (reasons.length > 0) return { kind: 'refused', reasons };
  const { anchors, removed } = trust;
  const path = validatePath({
    leaf,
    intermediates: sent,
    known: trust.intermediates,
    anchors,
    atSeconds,
    purpose: 'any',
    processedByCaller: known,
  });
  if (path.kind === 'refused' || removed === undefined || removed.size === 0) return path;
  const untrusted = path.chain.filter((each) => certificateDigests(each).some((digest) => removed.has(digest)));
  if (untrusted.length === 0) return path;
  return { kind: 'refused', reasons: untrusted.map((each) => `the operator trusts ${shown(each)} no more`) };
}

interface Link {
  readonly certificate: Certificate;
  readonly infos: readonly ReadTcbInfo[];
}

function missingLayers(links: readonly Link[], own: number, hasIdentity: boolean): readonly string[] {
  const gap = links[own];
  if (gap === undefined && own > 1) return [];
  if (own === 0 && gap !== undefined) return [`${shown(gap.certificate)}, whose key signs, has no TcbInfo`];
  if (gap !== undefined && links.slice(own).some(({ infos }) => infos.length > 0)) {
    return [`${shown(gap.certificate)} has no TcbInfo but is between layers that have one`];
  }
  // The DeviceID key is the same for any firmware above it: alone it says nothing about the boot.
  return own === 1 && !hasIdentity ? ['the chain has one layer; expected the DeviceID and at least one above it'] : [];
}

function leafReasons(certificate: Certificate): readonly string[] {
  const { basicConstraints, keyUsage, extendedKeyUsage } = certificate.extensions;
  const { attestInit, attestLoc } = diceKeyPurposeOid;
  const reasons: string[] = [];
  if (basicConstraints?.authority === true || keyUsage?.includes('keyCertSign') === true) {
    reasons.push(`${shown(certificate)} is an authority; a key that signs evidence issues no certificates`);
  }
  if (keyUsage?.includes('digitalSignature') !== true) {
    reasons.push(`${shown(certificate)} may not sign: its key usage lacks digitalSignature`);
  }
  if (extendedKeyUsage?.some((purpose) => purpose === attestInit || purpose === attestLoc) !== true) {
    reasons.push(
      `${shown(certificate)} is not for attestation: its extended key usage lacks ${attestInit} and ${attestLoc}`,
    );
  }
  return [...reasons, ...keyReasons(certificate)];
}

function issuerReasons(certificate: Certificate): readonly string[] {
  const { keyUsage, extendedKeyUsage } = certificate.extensions;
  const reasons: string[] = [];
  if (keyUsage?.includes('keyCertSign') !== true) {
    reasons.push(`${shown(certificate)} may not issue the next layer: its key usage lacks keyCertSign`);
  }
  if (extendedKeyUsage !== undefined && !extendedKeyUsage.includes(diceKeyPurposeOid.eca)) {
    reasons.push(
      `${shown(certificate)} may not issue the next layer: its extended key usage lacks ${diceKeyPurposeOid.eca}`,
    );
  }
  return reasons;
}

// The issuer of the first layer. If it lists key purposes, they must say identity or authority.
function identityReasons(certificate: Certificate): readonly string[] {
  const { keyUsage, extendedKeyUsage } = certificate.extensions;
  const { identityInit, identityLoc, eca } = diceKeyPurposeOid;
  const reasons: string[] = [];
  if (keyUsage?.includes('keyCertSign') !== true) {
    reasons.push(`${shown(certificate)} may not issue the first layer: its key usage lacks keyCertSign`);
  }
  if (
    extendedKeyUsage !== undefined &&
    ![identityInit, identityLoc, eca].some((oid) => extendedKeyUsage.includes(oid))
  ) {
    reasons.push(
      `${shown(certificate)} may not issue the first layer: its extended key usage has none of ${identityInit}, ${identityLoc}, ${eca}`,
    );
  }
  return reasons;
}

function keyReasons(certificate: Certificate): readonly string[] {
  try {
    signatureAlgorithmOf(publicKeyOf(certificate));
    return [];
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return [`${shown(certificate)}: ${error.message}`];
  }
}

type Numbered =
  | { readonly kind: 'numbered'; readonly layers: readonly DiceLayer[] }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** `groups` are the TcbInfos of each certificate, DeviceID first. */
function numbered(groups: readonly (readonly ReadTcbInfo[])[]): Numbered {
  const all = groups.flat();
  const stated = all.filter(({ layer }) => layer !== undefined).length;
  if (stated !== 0 && stated !== all.length) {
    return {
      kind: 'refused',
      reasons: [`${stated} of ${all.length} TcbInfos state their layer; expected all or none`],
    };
  }
  const layers = groups.map((infos, at) => {
    const withoutIndex = infos.every(({ index }) => index === undefined);
    return infos.map((tcbInfo, place): DiceLayer => {
      const index = tcbInfo.index ?? (withoutIndex ? place : 0);
      return { layer: tcbInfo.layer ?? at, index, tcbInfo };
    });
  });
  const reasons = layers.flatMap((group, at) => orderReasons(group, layers[at - 1]?.[0]?.layer));
  return reasons.length > 0 ? { kind: 'refused', reasons } : { kind: 'numbered', layers: layers.flat() };
}

function orderReasons(group: readonly DiceLayer[], below: number | undefined): readonly string[] {
  const [first, ...others] = group;
  if (first === undefined) return [];
  const reasons: string[] = [];
  if (below !== undefined && first.layer <= below) {
    reasons.push(`layer ${below} issued a certificate of layer ${first.layer}; layers increase from the DeviceID up`);
  }
  let last = first.index;
  for (const { layer, index } of others) {
    if (layer !== first.layer) reasons.push(`one certificate is of the layers ${first.layer} and ${layer}`);
    else if (index <= last) reasons.push(`layer ${layer}: index ${index} comes after ${last}; indices increase`);
    last = index;
  }
  return reasons;
}

// Names in certificates may be any text: the text that is logged and signed is short and plain, so that no name keeps a refusal out of the
// log.
function refused(code: DiceReasonCode, messages: readonly string[]) {
  const reasons: readonly DiceReason[] = messages.map((message) => ({
    code,
    message: printable(message, MESSAGE_LENGTH_MAX),
  }));
  return { kind: 'refused', reasons } as const;
}

function shown(certificate: Certificate): string {
  return `"${nameText(certificate.subject)}"`;
}
