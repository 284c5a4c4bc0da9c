// The identity that a manufacturer gave a device for its whole life, at enrollment (spec/manufacture.md): a path to an authority that an
// enrollment group trusts, its key on the device that enrolls, and one device for each IDevID.
import { replaceIdevid } from '../registry/device-row.ts';
import { parseBase64url } from '@edgekeep/core/bytes';
import { type Certificate, parseForeignCertificate, publicKeyOf } from '@edgekeep/core/identity/certificate';
import { certificateDigests, certificateIdentity } from '@edgekeep/core/identity/certificate-identity';
import { uncertifiedKey } from '@edgekeep/core/identity/element-keys';
import { deviceIdOfSerial } from '@edgekeep/core/identity/device-id';
import { nameText } from '@edgekeep/core/identity/distinguished-name';
import { type Idevid, validateIdevid } from '@edgekeep/core/identity/idevid';
import { type IdevidProofSubject, verifyIdevidProof } from '@edgekeep/core/attest/idevid-proof';
import type { DeviceIdentity } from '@edgekeep/wire/api/device';
import type { IdevidProofDocument } from '@edgekeep/wire/api/enrollment';
import type { Kysely } from 'kysely';
import { sha256Hex } from '@edgekeep/core/digest';
import { HubError } from '../common/error.ts';
import type { MakerEvidence } from '../vendor-root/device-makers.ts';
import { type MakerTrust, reachableFrom } from '../vendor-root/vendor-roots.ts';
import { idevidAnchors } from './match.ts';
import { raiseAlert } from '../alert/alerts.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import { attestationKeyFor } from '../attest/root-keys.ts';

/** An IDevID with a valid path; the second step proves that the device has its key. */
export interface TrustedIdevid {
  readonly kind: 'trusted';
  readonly idevid: Idevid;
  /** SHA-256 of the SPKI of every authority on the path, nearest first. */
  readonly authorities: readonly string[];
  /** The groups without which the path would not exist. */
  readonly anchorGroups: readonly string[];
  readonly makersWord: MakerEvidence;
  /** The authority that issued it. */
  readonly issuer: Certificate;
  /** Everything that the device sent beside it. */
  readonly sent: readonly Certificate[];
}

/** This hub does not trust its manufacturer: the IDevID proves nothing, and does no harm beside another proof. */
export interface UnknownIdevid {
  readonly kind: 'unknown';
  readonly refusal: HubError;
}

export type ShownIdevid = TrustedIdevid | UnknownIdevid;

/** Step one. Throws `enrollment-refused` for an invalid IDevID of a trusted manufacturer. */
export async function readShownIdevid(
  db: Kysely<Tables>,
  texts: readonly string[],
  asked: { readonly tier: DeviceIdentity['kind']; readonly trust: MakerTrust; readonly nowMs: number },
): Promise<ShownIdevid> {
  const { tier, trust, nowMs } = asked;
  const [leaf, ...sent] = texts.map((text) => parseForeignCertificate(parseBase64url(text, 'idevid')));
  if (leaf === undefined) throw refused('idevid-path', 'the chain is empty');
  const reachable = reachableFrom([leaf, ...sent], trust);
  const ofGroups = await idevidAnchors(db, reachable);
  // Of the store's anchors, only those that one of these certificates names: an IDevID of an unknown manufacturer is not an error.
  const ofStore = reachable.flatMap((certificate) => trust.anchors.issuersOf(certificate));
  if (ofGroups.length + ofStore.length === 0) return unknown(leaf);
  const anchors = [...ofStore, ...ofGroups.map(({ certificate }) => certificate)];
  const atSeconds = Math.floor(nowMs / 1_000);
  const verdict = validateIdevid({ leaf, intermediates: sent, known: trust.intermediates, anchors, atSeconds });
  if (verdict.kind === 'refused') {
    const message = 'the IDevID has no path to a trusted manufacturer, or does not meet IEEE 802.1AR';
    throw new HubError('enrollment-refused', message, { reasons: verdict.reasons });
  }
  const { idevid, chain } = verdict;
  if (tier === 'software')
    throw refused(
      'idevid-tier-differs',
      'an IDevID belongs to hardware: a device with its keys in files cannot use one',
    );
  if (idevid.inTpm && tier !== 'tpm')
    throw refused('idevid-tier-differs', 'this IDevID belongs to a TPM: enroll with that TPM as root of trust');
  const anchorGroups = ofGroups.filter(({ certificate }) => chain.at(-1) === certificate).map(({ group }) => group);
  return {
    kind: 'trusted',
    idevid,
    issuer: chain[1] ?? leaf,
    sent,
    authorities: chain.slice(1).map(({ spki }) => sha256Hex(spki)),
    anchorGroups,
    makersWord: { kind: 'idevid', chain, judgedAtMs: nowMs, notes: [], anchorGroups },
  };
}

/**
 * The digests by which an IDevID may be listed or blocked, its identity first: the former ones of the whole certificate, in every form, and
 * that of its key, which stays when the manufacturer certifies it again.
 */
export function idevidDigestsOf({ idevid: { certificate } }: Pick<TrustedIdevid, 'idevid'>): readonly string[] {
  return [...certificateDigests(certificate), sha256Hex(certificate.spki)];
}

/**
 * The tier that a proven IDevID gives a secure element: `software` unless its manufacturer certified both keys beside it. The signature of
 * one key says nothing about where another one is.
 */
export function tierByIdevid(
  { idevid, issuer, sent }: Pick<TrustedIdevid, 'idevid' | 'issuer' | 'sent'>,
  { signingKey, encryptionKey }: Extract<DeviceIdentity, { kind: 'secure-element' }>,
  nowMs: number,
): 'secure-element' | 'software' {
  const keys = {
    signing: parseBase64url(signingKey, 'signingKey'),
    agreement: parseBase64url(encryptionKey, 'encryptionKey'),
  };
  const atSeconds = Math.floor(nowMs / 1_000);
  return uncertifiedKey(keys, { idevid, issuer, sent, atSeconds }) === undefined ? 'secure-element' : 'software';
}

/** Step two: throws `enrollment-refused` unless the device has the key of the IDevID and used it in this enrollment. */
export function proveIdevid(
  { idevid }: TrustedIdevid,
  proof: IdevidProofDocument | undefined,
  enrollment: IdevidProofSubject & { readonly identity: DeviceIdentity },
): void {
  if (proof === undefined)
    throw refused('idevid-proof-missing', 'the device showed an IDevID, but no proof of its key');
  const { identity } = enrollment;
  const verdict = verifyIdevidProof(readProof(proof), {
    publicKey: publicKeyOf(idevid.certificate),
    subject: enrollment,
    attestationKey: identity.kind === 'tpm' ? attestationKeyFor(identity) : undefined,
  });
  if (verdict.kind === 'refused') throw refused(verdict.code, verdict.message);
}

/**
 * Throws `enrollment-refused` when another device has this IDevID, or one with its serial number from the same manufacturer, and raises an
 * alert about both devices: one is a clone. The first one stays. Call it only after the key was proven: certificates are public.
 */
export async function refuseIdevidClone(
  database: Pick<Database, 'read' | 'writeAsHub'>,
  trusted: TrustedIdevid,
  came: { readonly deviceId: string; readonly address: string; readonly nowMs: number },
): Promise<void> {
  const { deviceId, address, nowMs } = came;
  const other = await findOther(database.read, trusted, deviceId);
  if (other === undefined) return;
  const { serialNumber, sha256 } = trusted.idevid;
  await database.writeAsHub((trx) =>
    raiseAlert(trx, {
      kind: 'clone',
      severity: 'critical',
      subject: { deviceId: other },
      detail: 'idevid',
      title: `${deviceId} at ${address} came with the IDevID of ${other}, serial number ${serialNumber}: one of the two is a clone`,
      data: { addresses: [address], deviceIds: [deviceId], idevidSha256: sha256 },
      nowMs,
    }),
  );
  throw taken(serialNumber, other);
}

/** The same inside the transaction that registers the device. */
export async function assertIdevidFree(trx: WriteTransaction, trusted: TrustedIdevid, deviceId: string): Promise<void> {
  const other = await findOther(trx, trusted, deviceId);
  if (other !== undefined) throw taken(trusted.idevid.serialNumber, other);
}

async function findOther(db: Kysely<Tables>, trusted: TrustedIdevid, deviceId: string): Promise<string | undefined> {
  const { idevid, authorities } = trusted;
  const other = await db
    .selectFrom('device_idevid')
    .select('device_id')
    .where('device_id', '!=', deviceId)
    .where((q) =>
      q.or([
        q('sha256', 'in', idevidDigestsOf(trusted)),
        q.and([
          q('serial_folded', '=', idevid.serialNumber.toLowerCase()),
          q.or([q('issuer_sha256', 'in', authorities), q('anchor_sha256', 'in', authorities)]),
        ]),
      ]),
    )
    .executeTakeFirst();
  return other?.device_id;
}

function taken(serialNumber: string, other: string): HubError {
  const message = `the IDevID with the serial number ${serialNumber} is the one of ${other}: find out which of the two is a clone`;
  return refused('idevid-taken', message);
}

/** Without permission for another id, a device has the id of its serial number: otherwise any device could take the name of any other. */
export async function assertIdOfSerial(db: Kysely<Tables>, trusted: TrustedIdevid, deviceId: string): Promise<void> {
  const own = deviceIdOfSerial(trusted.idevid.serialNumber);
  if (own === deviceId) return;
  const listed = await db
    .selectFrom('enrolment_listing')
    .select('device_id')
    .where('kind', '=', 'idevid')
    .where('sha256', 'in', idevidDigestsOf(trusted))
    .where('device_id', '=', deviceId)
    .executeTakeFirst();
  if (listed !== undefined) return;
  const named = own === undefined ? 'has no id of its own' : `is ${own}`;
  throw refused(
    'idevid-id-differs',
    `by its IDevID this device ${named}, not ${deviceId}: an import or a token can give it another id`,
  );
}

export async function recordIdevid(
  trx: WriteTransaction,
  { idevid, authorities }: TrustedIdevid,
  { deviceId, nowMs }: { readonly deviceId: string; readonly nowMs: number },
): Promise<void> {
  const { certificate, sha256, serialNumber, hardwareType, hardwareSerial } = idevid;
  await replaceIdevid(trx, {
    device_id: deviceId,
    sha256,
    issuer_sha256: authorities.at(0) ?? '',
    anchor_sha256: authorities.at(-1) ?? '',
    serial_folded: serialNumber.toLowerCase(),
    serial_number: serialNumber,
    issuer: nameText(certificate.issuer),
    hardware_type: hardwareType,
    hardware_serial: hardwareSerial,
    der: certificate.der,
    proven_at: nowMs,
  });
}

export interface RecordedIdevid {
  readonly serialNumber: string;
  readonly sha256: string;
  readonly issuer: string;
  readonly hardwareType: string;
  readonly hardwareSerial: string;
}

/** What a device has proven; null if nothing. */
export async function idevidOf(db: Kysely<Tables>, deviceId: string): Promise<RecordedIdevid | null> {
  const row = await db
    .selectFrom('device_idevid')
    .select([
      'serial_number as serialNumber',
      'der',
      'issuer',
      'hardware_type as hardwareType',
      'hardware_serial as hardwareSerial',
    ])
    .where('device_id', '=', deviceId)
    .executeTakeFirst();
  if (row === undefined) return null;
  // Rows of the version before have the digest of the whole certificate.
  const { der, ...said } = row;
  return { ...said, sha256: certificateIdentity(parseForeignCertificate(der)) };
}

function readProof({ signature, residency }: IdevidProofDocument) {
  const read = (text: string) => parseBase64url(text, 'idevidProof');
  if (residency === undefined) return { signature: read(signature) };
  const { publicArea, attest, signature: certified } = residency;
  return {
    signature: read(signature),
    residency: { publicArea: read(publicArea), attest: read(attest), signature: read(certified) },
  };
}

function unknown(leaf: Certificate): UnknownIdevid {
  const message = `no enrollment group trusts ${nameText(leaf.issuer)}, which issued this IDevID: \`edgekeep enrollment-group create\` with its certificate, or a token, admits the device`;
  return { kind: 'unknown', refusal: refused('idevid-authority-unknown', message) };
}

function refused(code: string, message: string): HubError {
  return new HubError('enrollment-refused', message, { reasons: [{ code, message }] });
}
