// Certificates in other issuers' encodings, for tests: every field can have a special encoding. One key signs them all.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import {
  derBitString,
  derBoolean,
  derExplicit,
  derInteger,
  derOctetString,
  derOid,
  derSequence,
  derTag,
  derTime,
  derValue,
} from '../der.ts';
import { utf8 } from '../bytes.ts';
import { commonNameOnly } from './distinguished-name.ts';
import { basicConstraints, type Extension, extendedKeyUsage, keyUsage } from './extensions.ts';
import { keyPurposeOid } from './oid.ts';
import { encodeSignatureAlgorithm } from './signature-algorithm.ts';

export const foreignKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const foreignSpki = foreignKey.publicKey.export({ format: 'der', type: 'spki' });
/** 2027-01-15: inside the period of every certificate here. */
export const foreignNowSeconds = 1_800_000_000;

export interface ForeignFields {
  readonly version?: Uint8Array;
  readonly serial?: Uint8Array;
  readonly algorithm?: Uint8Array;
  readonly outerAlgorithm?: Uint8Array;
  readonly issuer?: Uint8Array;
  readonly notBefore?: Uint8Array;
  readonly notAfter?: Uint8Array;
  readonly subject?: Uint8Array;
  readonly spki?: Uint8Array;
  /** Each encoded; an empty list leaves the field out. */
  readonly extensions?: readonly Uint8Array[];
  /** Changes the TBSCertificate before it is signed. */
  readonly reshape?: (content: Uint8Array) => Uint8Array;
  readonly signer?: KeyObject;
  readonly sign?: (tbs: Uint8Array) => Uint8Array;
}

export const nameOf = (text: string) => commonNameOnly(text).der;

export function encodeExtension({ oid, critical, value }: Extension): Uint8Array {
  return derSequence(derOid(oid), ...(critical ? [derBoolean(true)] : []), derOctetString(value));
}

/** An extension whose `critical` field is these bytes. */
export function rawExtension(oid: string, critical: Uint8Array, value: Uint8Array): Uint8Array {
  return derSequence(derOid(oid), critical, derOctetString(value));
}

export const empty = new Uint8Array(0);

const ecdsa = encodeSignatureAlgorithm('ecdsa-p256-sha256');

export function foreignCertificate(fields: ForeignFields): Uint8Array {
  const { algorithm = ecdsa, extensions = [], reshape = (content) => derSequence(content) } = fields;
  const content = Buffer.concat([
    fields.version ?? derExplicit(0, derInteger(2)),
    fields.serial ?? derInteger(7),
    algorithm,
    fields.issuer ?? nameOf('root'),
    derSequence(fields.notBefore ?? derTime(1_700_000_000), fields.notAfter ?? derTime(1_900_000_000)),
    fields.subject ?? nameOf('leaf'),
    fields.spki ?? foreignSpki,
    ...(extensions.length === 0 ? [] : [derExplicit(3, derSequence(...extensions))]),
  ]);
  const tbs = reshape(content);
  const made = fields.sign?.(tbs) ?? sign('sha256', tbs, fields.signer ?? foreignKey.privateKey);
  return derSequence(tbs, fields.outerAlgorithm ?? algorithm, derBitString(made));
}

export const authorityExtensions = [
  encodeExtension(basicConstraints(true)),
  encodeExtension(keyUsage('keyCertSign', 'cRLSign')),
];
export const leafExtensions = [
  encodeExtension(keyUsage('digitalSignature')),
  encodeExtension(extendedKeyUsage(keyPurposeOid.clientAuth)),
];

export const foreignRoot = foreignCertificate({ subject: nameOf('root'), extensions: authorityExtensions });

export const derText = (tag: number, text: Uint8Array) =>
  derSequence(derValue(derTag.set, derSequence(derOid('2.5.4.3'), derValue(tag, text))));

export const latin1 = (text: string) => Buffer.from(text, 'latin1');
export const time = (tag: number, text: string) => derValue(tag, utf8(text));
