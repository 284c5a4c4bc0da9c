// For tests: DICE devices in memory with keys that are the same in every run. A test changes what a maker or a layer would have issued.
import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { type Certificate, parseCertificate } from '../../identity/certificate.ts';
import { commonNameOnly } from '../../identity/distinguished-name.ts';
import { type CertificateTemplate, issueCertificate } from '../../identity/issue.ts';
import { issuingAuthorityProfile, rootProfile } from '../../identity/profile.ts';
import { encodeSpki } from '../../identity/public-key.ts';
import { encodeP256Point } from '../../identity/p256-point.ts';
import { hashOf, signatureAlgorithmOf, signerFromKey } from '../../signer.ts';
import { encodeEventLogHeader } from '../event-log.ts';
import { type DiceEvidence, signedStatement } from '../evidence.ts';
import { fixedKey } from '../testing.ts';
import { fwidAlgorithms } from './fwid.ts';
import { aliasProfile, deviceIdProfile, middleLayerProfile } from './testing-profile.ts';
import { sealingKeyOf } from './sealing-key.ts';
import { encodeDiceStatement } from '../dice-statement.ts';
import type { TcbInfo } from './tcb-info.ts';

export const testSeconds = 1_800_000_000;
const noDate = 253_402_300_799;

export interface TestVendor {
  readonly root: Certificate;
  readonly issuing: Certificate;
  readonly key: KeyObject;
}

type Change = (template: CertificateTemplate) => CertificateTemplate;
const unchanged: Change = (template) => template;

/** A root and an issuing authority below it; `scalar` distinguishes vendors. */
export async function testVendor(scalar = 900, change: Change = unchanged): Promise<TestVendor> {
  const rootKey = fixedKey(scalar);
  const key = fixedKey(scalar + 1);
  const root = await issued(rootProfile(inputOf(rootKey), commonNameOnly(`DICE root ${scalar}`)), rootKey);
  const below = issuingAuthorityProfile(inputOf(key), root, commonNameOnly(`DICE maker ${scalar}`));
  // The profile allows no authorities below it; a maker's has the layers there.
  const extensions = rootProfile(inputOf(key), commonNameOnly('unused')).extensions;
  return { root, issuing: await issued(change({ ...below, extensions }), rootKey), key };
}

export interface TestLayer {
  readonly tcbInfo: TcbInfo;
  /** The number from which its key is made. */
  readonly scalar: number;
  /** Replaces the one that `scalar` gives. */
  readonly key?: KeyObject;
  readonly change?: Change;
}

export interface TestDice {
  /** The alias certificate first; the vendor's root is left out. */
  readonly chain: readonly Certificate[];
  readonly aliasKey: KeyObject;
  readonly deviceIdKey: KeyObject;
}

export function fwidOf(character: string, algorithm: keyof typeof fwidAlgorithms = 'sha256') {
  const { oid, length } = fwidAlgorithms[algorithm];
  return { algorithm: oid, digest: new Uint8Array(length).fill(Number.parseInt(character, 16) * 17) };
}

/** Firmware in three layers, as a healthy device has it. */
export const testLayers: readonly TestLayer[] = [
  { scalar: 10, tcbInfo: { vendor: 'Example', model: 'M1', layer: 0, svn: 1, fwids: [fwidOf('a')] } },
  { scalar: 11, tcbInfo: { vendor: 'Example', model: 'M1', layer: 1, svn: 4, fwids: [fwidOf('b', 'sha384')] } },
  { scalar: 12, tcbInfo: { vendor: 'Example', model: 'M1', layer: 2, svn: 7, fwids: [fwidOf('c')] } },
];

/** The device that the vendor made and that booted these layers. */
export async function testDice(vendor: TestVendor, layers: readonly TestLayer[] = testLayers): Promise<TestDice> {
  let issuer = vendor.issuing;
  let issuerKey = vendor.key;
  const chain = [vendor.issuing];
  for (const [at, { tcbInfo, scalar, key = fixedKey(scalar), change = unchanged }] of layers.entries()) {
    const profile = at === 0 ? deviceIdProfile : at === layers.length - 1 ? aliasProfile : middleLayerProfile;
    issuer = await issued(change(profile(inputOf(key), issuer, tcbInfo)), issuerKey);
    issuerKey = key;
    chain.unshift(issuer);
  }
  return { chain, aliasKey: issuerKey, deviceIdKey: createPublicKey(fixedKey(layers[0]?.scalar ?? 0)) };
}

/** Evidence over `qualifyingData`, with the PCRs of a device that measured nothing. */
export function testDiceEvidence(
  { chain, aliasKey }: Pick<TestDice, 'chain' | 'aliasKey'>,
  qualifyingData: Uint8Array,
  pcrs: readonly number[],
): DiceEvidence {
  const statement = encodeDiceStatement({
    qualifyingData,
    pcrs: new Map(pcrs.map((pcr) => [pcr, new Uint8Array(32)])),
    sealingKey: encodeP256Point(createPublicKey(sealingKeyOf(aliasKey))),
  });
  const signed = signedStatement({ kind: 'dice', statement });
  const signature = sign(hashOf(signatureAlgorithmOf(createPublicKey(aliasKey))), signed, aliasKey);
  const der = chain.map((certificate) => certificate.der);
  return { kind: 'dice', chain: der, statement, signature, eventLog: encodeEventLogHeader() };
}

function inputOf(key: KeyObject) {
  const spki = encodeSpki(createPublicKey(key));
  const serialRandom = Uint8Array.from(spki.subarray(-16));
  return { spki, serialRandom, notBeforeSeconds: 1_700_000_000, notAfterSeconds: noDate };
}

async function issued(template: CertificateTemplate, key: KeyObject): Promise<Certificate> {
  return parseCertificate(await issueCertificate(template, signerFromKey(key)));
}
