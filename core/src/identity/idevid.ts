// Initial device identifiers (IEEE 802.1AR-2018 section 8): the certificate that a manufacturer gives a device for its whole life, for a
// key made in its hardware. spec/manufacture.md has the choices where the standard allows several, and what a reader refuses.
import { parseUtf8, toHex, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { type Certificate, publicKeyOf } from './certificate.ts';
import { certificateIdentity } from './certificate-identity.ts';
import { type DistinguishedName, encodeName } from './distinguished-name.ts';
import {
  authorityKeyIdentifier,
  basicConstraints,
  certificatePolicies,
  keyUsage,
  subjectAltName,
  subjectKeyIdentifier,
} from './extensions.ts';
import { hardwareModuleGeneralName, hardwareModuleNamesIn } from './hardware-module-name.ts';
import type { CertificateTemplate } from './issue.ts';
import { attributeOid, keyPurposeOid, tcgPolicyOid } from './oid.ts';
import { type PathInput, validatePath } from './path.ts';
import type { ProfileInput } from './profile.ts';
import { keyIdentifierOf } from './public-key.ts';

/** 9999-12-31T23:59:59Z: the certificate has no end date (RFC 5280 section 4.1.2.5). */
const noExpirySeconds = 253_402_300_799;

const { verifiedTpmFixed, verifiedTpmResidency } = tcgPolicyOid;
/** tcg-sv-tpm20 (TCG OID registry): the named hardware is a TPM 2.0, not the device around it. */
const tpmHardwareType = '2.23.133.1.2';

/** Serial numbers that this product issues: within PrintableString, safe as a file name, 1 to 64 characters. */
export const deviceSerialPattern = /^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$/;

/** What a certificate beside an IDevID is for (spec/secure-element.md, "Whose keys"). */
export type ElementKeyUsage = 'digitalSignature' | 'keyAgreement';

/** An IDevID, or an authority above one, has no end date: none is requested. */
export type IdevidProfileInput = Omit<ProfileInput, 'notAfterSeconds' | 'statusUrls'>;

export interface IdevidSubject {
  /** Of the device, as on its type plate; also the hardware serial number. */
  readonly serialNumber: string;
  /** Object identifier of the kind of hardware. */
  readonly hardwareType: string;
  readonly organization?: string | undefined;
  /** The product's name. */
  readonly product?: string | undefined;
  /** The authority has verified that the key is bound to a TPM, and that a vendor certified that TPM. */
  readonly inVerifiedTpm?: boolean | undefined;
}

/** The certificate of a device for its whole life. Throws `certificate-invalid` for a serial number of another form. */
export function idevidProfile(
  input: IdevidProfileInput,
  issuer: Certificate,
  { serialNumber, hardwareType, organization, product, inVerifiedTpm }: IdevidSubject,
): CertificateTemplate {
  if (!deviceSerialPattern.test(serialNumber)) {
    throw new CoreError('certificate-invalid', `not a serial number for a device: ${JSON.stringify(serialNumber)}`);
  }
  const part = (oid: string, text: string | undefined) => (text === undefined ? [] : [{ oid, text }]);
  const module = { type: hardwareType, serialNumber: utf8(serialNumber) };
  return {
    ...input,
    notAfterSeconds: noExpirySeconds,
    issuer: issuer.subject,
    subject: encodeName([
      ...part(attributeOid.organization, organization),
      ...part(attributeOid.commonName, product),
      ...part(attributeOid.serialNumber, serialNumber),
    ]),
    // 802.1AR section 8.10: the authority key identifier is required, the subject key identifier is not wanted.
    extensions: [
      keyUsage('digitalSignature'),
      ...(inVerifiedTpm === true ? [certificatePolicies(verifiedTpmResidency, verifiedTpmFixed)] : []),
      subjectAltName([hardwareModuleGeneralName(module)]),
      authorityKeyIdentifier(issuer.extensions.subjectKeyIdentifier ?? keyIdentifierOf(issuer.spki)),
    ],
  };
}

/** The certificate of another key in the same secure element as the IDevID's: same subject and hardware, the usage of that key. */
export function elementKeyProfile(
  input: IdevidProfileInput,
  issuer: Certificate,
  subject: Omit<IdevidSubject, 'inVerifiedTpm'>,
  usage: ElementKeyUsage,
): CertificateTemplate {
  const template = idevidProfile(input, issuer, subject);
  const [, ...others] = template.extensions;
  return { ...template, extensions: [keyUsage(usage), ...others] };
}

/** A manufacturer's authority, self-signed or below `issuer`. Without an end date, because its end would end every IDevID below it. */
export function manufacturerProfile(
  input: IdevidProfileInput,
  subject: DistinguishedName,
  issuer?: Certificate,
): CertificateTemplate {
  const above =
    issuer === undefined ? undefined : (issuer.extensions.subjectKeyIdentifier ?? keyIdentifierOf(issuer.spki));
  return {
    ...input,
    notAfterSeconds: noExpirySeconds,
    issuer: issuer?.subject ?? subject,
    subject,
    extensions: [
      basicConstraints(true, ...(issuer === undefined ? [] : [0])),
      keyUsage('keyCertSign', 'cRLSign'),
      subjectKeyIdentifier(keyIdentifierOf(input.spki)),
      ...(above === undefined ? [] : [authorityKeyIdentifier(above)]),
    ],
  };
}

/** What an IDevID says about its device. */
export interface Idevid {
  readonly certificate: Certificate;
  /** SHA-256 of TBSCertificate, hex. */
  readonly sha256: string;
  /** serialNumber of the subject. */
  readonly serialNumber: string;
  readonly hardwareType: string;
  /** As text where it is printable ASCII, else hex. */
  readonly hardwareSerial: string;
  /** The hardware is a TPM, or the authority states that the key is bound to one: not valid for a device without a TPM. */
  readonly inTpm: boolean;
}

/** The rules of 802.1AR that an IDevID breaks. */
export type IdevidReasonCode =
  | 'idevid-path'
  | 'idevid-version'
  | 'idevid-key'
  | 'idevid-key-usage'
  | 'idevid-purpose'
  | 'idevid-authority'
  | 'idevid-serial-missing'
  | 'idevid-hardware-missing'
  | 'idevid-serial-differs';

export interface IdevidReason {
  readonly code: IdevidReasonCode;
  readonly message: string;
}

export type IdevidVerdict =
  | {
      readonly kind: 'valid';
      readonly idevid: Idevid;
      /** Leaf first, anchor last. */ readonly chain: readonly Certificate[];
    }
  | { readonly kind: 'refused'; readonly reasons: readonly IdevidReason[] };

/** Validates an IDevID up to one of the trusted manufacturers' authorities. idevid-proof.ts proves that the device has its key. */
export function validateIdevid(input: Omit<PathInput, 'purpose'>): IdevidVerdict {
  const path = validatePath({ ...input, purpose: 'any' });
  const paths = path.kind === 'refused' ? path.reasons.map((message) => reason('idevid-path', message)) : [];
  const read = readIdevid(input.leaf);
  const reasons = [...paths, ...(read.kind === 'refused' ? read.reasons : [])];
  if (path.kind === 'valid' && read.kind === 'read' && reasons.length === 0) {
    const narrow = path.chain.slice(1).filter((authority) => !issuesForDevices(authority));
    if (narrow.length === 0) return { kind: 'valid', idevid: read.idevid, chain: path.chain };
    reasons.push(reason('idevid-purpose', 'an authority above the IDevID issues for other purposes only'));
  }
  return { kind: 'refused', reasons };
}

export type IdevidReading =
  | { readonly kind: 'read'; readonly idevid: Idevid }
  | { readonly kind: 'refused'; readonly reasons: readonly IdevidReason[] };

/** What a certificate says about its device, where it says it as an IDevID does. */
export type NamedHardware = Pick<Idevid, 'serialNumber' | 'hardwareType' | 'hardwareSerial'>;

/** The device that a certificate names; undefined unless it names exactly one. */
export function readNamedHardware(certificate: Certificate): NamedHardware | undefined {
  const serials = certificate.subject.parts.flat().filter(({ oid }) => oid === attributeOid.serialNumber);
  const modules = hardwareModuleNames(certificate);
  const [serial] = serials;
  const [module] = modules;
  if (serials.length !== 1 || modules.length !== 1 || serial?.text === undefined || module === undefined)
    return undefined;
  return { serialNumber: serial.text, hardwareType: module.type, hardwareSerial: textOf(module.serialNumber) };
}

/** The requirements for the certificate itself; the issuer is not checked here. */
export function readIdevid(certificate: Certificate): IdevidReading {
  const { extensions, version } = certificate;
  const serials = certificate.subject.parts.flat().filter(({ oid }) => oid === attributeOid.serialNumber);
  const [serial] = serials;
  const reasons: IdevidReason[] = [];
  if (version !== 3) reasons.push(reason('idevid-version', `version ${version}, expected 3`));
  if (!isP256(certificate)) reasons.push(reason('idevid-key', 'the key is not on P-256'));
  if (extensions.keyUsage?.includes('digitalSignature') !== true)
    reasons.push(reason('idevid-key-usage', 'the key usage lacks digitalSignature'));
  if (!issuesForDevices(certificate))
    reasons.push(reason('idevid-purpose', 'its extended key usage has purposes, and client authentication is not one'));
  if (extensions.basicConstraints?.authority === true || extensions.keyUsage?.includes('keyCertSign') === true)
    reasons.push(reason('idevid-authority', 'it is one of an authority, not of a device'));
  if (serial?.text === undefined || serial.text === '' || serials.length !== 1)
    reasons.push(reason('idevid-serial-missing', 'the subject has no serialNumber, or several'));
  else if (!/^[\x20-\x7e]+$/.test(serial.text))
    reasons.push(reason('idevid-serial-missing', 'the serialNumber of the subject is not printable ASCII'));
  const modules = hardwareModuleNames(certificate);
  const [module] = modules;
  if (module === undefined || modules.length !== 1)
    reasons.push(
      reason('idevid-hardware-missing', 'expected one readable hardwareModuleName among the alternative names'),
    );
  if (module === undefined || serial?.text === undefined || reasons.length > 0) return { kind: 'refused', reasons };
  const hardwareSerial = textOf(module.serialNumber);
  // Two numbers for one device would be two devices to two readers. For a TPM's own number (TCG) only the maker knows its device.
  if (module.type !== tpmHardwareType && hardwareSerial !== serial.text) {
    const message = `the subject has the serial number ${JSON.stringify(serial.text.slice(0, 64))}, the hardware ${JSON.stringify(hardwareSerial)}`;
    return { kind: 'refused', reasons: [reason('idevid-serial-differs', message)] };
  }
  const sha256 = certificateIdentity(certificate);
  const policies = extensions.certificatePolicies ?? [];
  return {
    kind: 'read',
    idevid: {
      certificate,
      sha256,
      serialNumber: serial.text,
      hardwareType: module.type,
      hardwareSerial,
      inTpm:
        module.type === tpmHardwareType ||
        policies.includes(verifiedTpmFixed) ||
        policies.includes(verifiedTpmResidency),
    },
  };
}

function hardwareModuleNames({ extensions }: Certificate) {
  return readOr(() => hardwareModuleNamesIn(extensions.subjectAltName?.names ?? [])) ?? [];
}

function readOr<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return undefined;
  }
}

// 802.1AR wants no extended key usage in an IDevID; if there is one, it must allow the present use.
function issuesForDevices({ extensions: { extendedKeyUsage } }: Certificate): boolean {
  if (extendedKeyUsage === undefined) return true;
  return extendedKeyUsage.some((purpose) => purpose === keyPurposeOid.clientAuth || purpose === keyPurposeOid.any);
}

function isP256(certificate: Certificate): boolean {
  return readOr(() => publicKeyOf(certificate))?.asymmetricKeyDetails?.namedCurve === 'prime256v1';
}

function textOf(octets: Uint8Array): string {
  const printable = octets.every((octet) => octet >= 0x20 && octet <= 0x7e);
  return printable ? parseUtf8(octets, 'hardware serial number') : toHex(octets);
}

function reason(code: IdevidReasonCode, message: string): IdevidReason {
  return { code, message };
}
