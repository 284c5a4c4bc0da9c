// Certificate extensions (RFC 5280 section 4.2): the ones that path validation processes, read and written. Every other one is kept
// unchanged; if it is critical, path validation refuses the certificate.
import {
  contextTag,
  DerReader,
  derBitString,
  derBoolean,
  derInteger,
  derNull,
  derOctetString,
  derOid,
  derSequence,
  derTag,
  type DerRules,
  derValue,
} from '../der.ts';
import { CoreError } from '../error.ts';
import {
  encodeGeneralName,
  encodeGeneralNames,
  type GeneralName,
  readGeneralName,
  readGeneralNames,
} from './general-name.ts';
import { extensionOid, ocspOid, statusOid } from './oid.ts';
import {
  type PolicyConstraints,
  type PolicyMapping,
  readInhibitAnyPolicy,
  readPolicies,
  readPolicyConstraints,
  readPolicyMappings,
} from './policy-extensions.ts';

// Certificates in use have about ten; these limit the work on a hostile one.
const EXTENSIONS_MAX = 48;
const SUBTREES_MAX = 128;
const KEY_PURPOSES_MAX = 32;

/** In the order of their bits (RFC 5280 section 4.2.1.3). */
const keyUsages = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;
export type KeyUsage = (typeof keyUsages)[number];

export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  /** The content of the extension's octet string. */
  readonly value: Uint8Array;
}

export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

export interface Extensions {
  readonly all: readonly Extension[];
  readonly basicConstraints: { readonly authority: boolean; readonly pathLength: number | undefined } | undefined;
  readonly keyUsage: readonly KeyUsage[] | undefined;
  /** Object identifiers of key purposes. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly subjectAltName: { readonly critical: boolean; readonly names: readonly GeneralName[] } | undefined;
  readonly nameConstraints: NameConstraints | undefined;
  readonly subjectKeyIdentifier: Uint8Array | undefined;
  readonly authorityKeyIdentifier: Uint8Array | undefined;
  /** Object identifiers of the policies it was issued under. */
  readonly certificatePolicies: readonly string[] | undefined;
  readonly policyMappings: readonly PolicyMapping[] | undefined;
  readonly policyConstraints: PolicyConstraints | undefined;
  /** How many certificates below may still have any policy. */
  readonly inhibitAnyPolicy: number | undefined;
  /** Critical extensions that nothing here processes. */
  readonly unknownCritical: readonly string[];
}

// The address of the revocation list does not matter for the path: it is recognised, and revocation is decided elsewhere.
const processed: readonly string[] = [...Object.values(extensionOid), statusOid.crlDistributionPoints];

/** Reads the next value of `reader` as Extensions; one that occurs twice throws `der-invalid`. */
export function readExtensions(reader: DerReader, what: string): Extensions {
  const list = reader.inside();
  const all: Extension[] = [];
  while (!list.done) {
    if (all.length === EXTENSIONS_MAX) throw new CoreError('der-invalid', `${what}: over ${EXTENSIONS_MAX} extensions`);
    const extension = readExtension(list.inside(), what);
    if (all.some(({ oid }) => oid === extension.oid)) {
      throw new CoreError('der-invalid', `${what}: the extension ${extension.oid} occurs twice`);
    }
    all.push(extension);
  }
  if (all.length === 0) throw new CoreError('der-invalid', `${what}: an empty list of extensions`);
  return interpret(all, what, reader.rules);
}

export const noExtensions: Extensions = interpret([], 'extensions', 'strict');

function readExtension(reader: DerReader, what: string): Extension {
  const oid = reader.oid();
  const explicit = reader.nextTag === derTag.boolean;
  const critical = explicit && reader.boolean();
  if (explicit && !critical && reader.rules === 'strict')
    throw new CoreError('der-invalid', `${what}: a default value that is written out`);
  const value = reader.octetString();
  reader.end();
  return { oid, critical, value };
}

function interpret(all: readonly Extension[], what: string, rules: DerRules): Extensions {
  const read = <T>(oid: string, parse: (reader: DerReader, extension: Extension) => T): T | undefined => {
    const extension = all.find((candidate) => candidate.oid === oid);
    if (extension === undefined) return undefined;
    const reader = new DerReader(extension.value, `${what} extension ${oid}`, rules);
    const value = parse(reader, extension);
    reader.end();
    return value;
  };
  return {
    all,
    basicConstraints: read(extensionOid.basicConstraints, readBasicConstraints),
    keyUsage: read(extensionOid.keyUsage, readKeyUsage),
    extendedKeyUsage: read(extensionOid.extendedKeyUsage, readKeyPurposes),
    subjectAltName: read(extensionOid.subjectAltName, (reader, { critical }) => ({
      critical,
      names: readGeneralNames(reader, `${what} subject alternative name`),
    })),
    nameConstraints: read(extensionOid.nameConstraints, readNameConstraints),
    subjectKeyIdentifier: read(extensionOid.subjectKeyIdentifier, (reader) => reader.octetString()),
    authorityKeyIdentifier: read(extensionOid.authorityKeyIdentifier, readAuthorityKeyIdentifier),
    certificatePolicies: read(extensionOid.certificatePolicies, readPolicies),
    policyMappings: read(extensionOid.policyMappings, readPolicyMappings),
    policyConstraints: read(extensionOid.policyConstraints, readPolicyConstraints),
    inhibitAnyPolicy: read(extensionOid.inhibitAnyPolicy, readInhibitAnyPolicy),
    unknownCritical: all.filter(({ oid, critical }) => critical && !processed.includes(oid)).map(({ oid }) => oid),
  };
}

function readBasicConstraints(reader: DerReader) {
  const constraints = reader.inside();
  const explicit = constraints.nextTag === derTag.boolean;
  const authority = explicit && constraints.boolean();
  const foreign = reader.rules === 'foreign';
  if (explicit && !authority && !foreign)
    throw new CoreError('der-invalid', 'basic constraints: a default value that is written out');
  const pathLength = constraints.nextTag === derTag.integer ? constraints.smallInteger() : undefined;
  constraints.end();
  // RFC 5280 section 4.2.1.9: a path length is meaningful only together with `cA`. Writers leave it out; a reader ignores it.
  if (pathLength !== undefined && !authority && !foreign) {
    throw new CoreError('der-invalid', 'basic constraints: a path length on a certificate that is no authority');
  }
  return { authority, pathLength };
}

function readKeyUsage(reader: DerReader): readonly KeyUsage[] {
  const { bytes, unusedBits } = reader.bitString();
  const bits = bytes.length * 8 - unusedBits;
  const isSet = (bit: number) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0;
  // X.690 section 11.2.2: a named bit list has no trailing zero bits; RFC 5280: and at least one bit is set. That binds the writer:
  // Infineon writes trailing zero bits, and their meaning is clear.
  if (reader.rules === 'strict' && (bits === 0 || bits > keyUsages.length || !isSet(bits - 1))) {
    throw new CoreError('der-invalid', 'key usage: expected one to nine bits, the last one set');
  }
  const usages = keyUsages.filter((_, bit) => isSet(bit));
  if (usages.length === 0) throw new CoreError('der-invalid', 'key usage: no usage at all');
  return usages;
}

function readKeyPurposes(reader: DerReader): readonly string[] {
  const list = reader.inside();
  const purposes: string[] = [];
  while (!list.done && purposes.length < KEY_PURPOSES_MAX) purposes.push(list.oid());
  list.end();
  if (purposes.length === 0) throw new CoreError('der-invalid', 'extended key usage: an empty list');
  return purposes;
}

function readAuthorityKeyIdentifier(reader: DerReader): Uint8Array | undefined {
  const identifier = reader.inside();
  const keyIdentifier = identifier.optional(contextTag(0, false))?.content;
  // The issuer's name and serial number are an older way to express the same; the signature decides.
  identifier.optional(contextTag(1, true));
  identifier.optional(contextTag(2, false));
  identifier.end();
  return keyIdentifier;
}

function readNameConstraints(reader: DerReader): NameConstraints {
  const constraints = reader.inside();
  const permitted = readSubtrees(constraints, contextTag(0, true));
  const excluded = readSubtrees(constraints, contextTag(1, true));
  constraints.end();
  if (permitted.length + excluded.length === 0)
    throw new CoreError('der-invalid', 'name constraints: both lists empty');
  return { permitted, excluded };
}

function readSubtrees(reader: DerReader, tag: number): readonly GeneralName[] {
  const list = reader.optional(tag);
  if (list === undefined) return [];
  const subtrees = reader.into(list);
  const bases: GeneralName[] = [];
  while (!subtrees.done) {
    if (bases.length === SUBTREES_MAX) throw new CoreError('der-invalid', `name constraints: over ${SUBTREES_MAX}`);
    const subtree = subtrees.inside();
    bases.push(readGeneralName(subtree, 'name constraints'));
    // RFC 5280 section 4.2.1.10: minimum is 0, its default, and maximum is absent.
    const minimum = contextTag(0, false);
    if (subtree.rules === 'foreign' && subtree.nextTag === minimum && subtree.smallInteger(minimum) !== 0) {
      throw new CoreError('der-invalid', 'name constraints: a minimum other than 0');
    }
    subtree.end();
  }
  return bases;
}

// The encoder.

export function basicConstraints(authority: boolean, pathLength?: number): Extension {
  const parts = authority ? [derBoolean(true), ...(pathLength === undefined ? [] : [derInteger(pathLength)])] : [];
  return { oid: extensionOid.basicConstraints, critical: true, value: derSequence(...parts) };
}

export function keyUsage(...usages: readonly [KeyUsage, ...KeyUsage[]]): Extension {
  const last = Math.max(...usages.map((usage) => keyUsages.indexOf(usage)));
  const bytes = new Uint8Array((last >> 3) + 1);
  for (const usage of usages) {
    const bit = keyUsages.indexOf(usage);
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  }
  return { oid: extensionOid.keyUsage, critical: true, value: derBitString(bytes, 7 - (last & 7)) };
}

/** `purposes` are object identifiers. */
export function extendedKeyUsage(...purposes: readonly [string, ...string[]]): Extension {
  const value = derSequence(...purposes.map((purpose) => derOid(purpose)));
  return { oid: extensionOid.extendedKeyUsage, critical: false, value };
}

/** `critical` must be true when the subject is empty (RFC 5280 section 4.2.1.6). */
export function subjectAltName(names: readonly GeneralName[], critical = false): Extension {
  return { oid: extensionOid.subjectAltName, critical, value: encodeGeneralNames(names) };
}

export function subjectKeyIdentifier(identifier: Uint8Array): Extension {
  return { oid: extensionOid.subjectKeyIdentifier, critical: false, value: derOctetString(identifier) };
}

export function authorityKeyIdentifier(identifier: Uint8Array): Extension {
  const value = derSequence(derValue(contextTag(0, false), identifier));
  return { oid: extensionOid.authorityKeyIdentifier, critical: false, value };
}

/** Where the issuer's revocation list is (RFC 5280 section 4.2.1.13): one point, full name, every reason. */
export function crlDistributionPoint(url: string): Extension {
  const fullName = derValue(contextTag(0, true), encodeGeneralName({ kind: 'uri', text: url }));
  const point = derSequence(derValue(contextTag(0, true), fullName));
  return { oid: statusOid.crlDistributionPoints, critical: false, value: derSequence(point) };
}

/** Where to ask about this certificate by OCSP (RFC 5280 section 4.2.2.1). */
export function ocspAccess(url: string): Extension {
  const access = derSequence(derOid(statusOid.accessOcsp), encodeGeneralName({ kind: 'uri', text: url }));
  return { oid: statusOid.authorityInformationAccess, critical: false, value: derSequence(access) };
}

/** The rules under which it was issued (RFC 5280 section 4.2.1.4), without qualifiers. */
export function certificatePolicies(...policies: readonly [string, ...string[]]): Extension {
  const value = derSequence(...policies.map((policy) => derSequence(derOid(policy))));
  return { oid: extensionOid.certificatePolicies, critical: false, value };
}

/** The names below an authority (RFC 5280 section 4.2.1.10). */
export function nameConstraints({ permitted, excluded }: NameConstraints): Extension {
  const list = (at: number, names: readonly GeneralName[]) =>
    names.length === 0
      ? []
      : [derValue(contextTag(at, true), ...names.map((name) => derSequence(encodeGeneralName(name))))];
  const value = derSequence(...list(0, permitted), ...list(1, excluded));
  return { oid: extensionOid.nameConstraints, critical: true, value };
}

/** No revocation check for an OCSP responder's own short-lived certificate (RFC 6960 section 4.2.2.2.1). */
export function ocspNoCheck(): Extension {
  return { oid: ocspOid.noCheck, critical: false, value: derNull() };
}

/** Extensions ::= SEQUENCE OF Extension. */
export function encodeExtensions(extensions: readonly Extension[]): Uint8Array {
  const one = ({ oid, critical, value }: Extension) =>
    derSequence(derOid(oid), ...(critical ? [derBoolean(true)] : []), derOctetString(value));
  return derSequence(...extensions.map(one));
}
