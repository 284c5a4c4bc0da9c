// The certificates of a DICE device (DICE Certificate Profiles 1.0) as templates for `issueCertificate`: the maker issues the first, and
// each layer the one of the layer that it measured. Firmware does this; here it is for simulators and tests. chain.ts judges the chains of
// others.
import type { Certificate } from '../../identity/certificate.ts';
import { commonNameOnly } from '../../identity/distinguished-name.ts';
import {
  authorityKeyIdentifier,
  basicConstraints,
  type Extension,
  extendedKeyUsage,
  keyUsage,
  subjectKeyIdentifier,
} from '../../identity/extensions.ts';
import type { CertificateTemplate } from '../../identity/issue.ts';
import type { ProfileInput } from '../../identity/profile.ts';
import { keyIdentifierOf } from '../../identity/public-key.ts';
import { toHex } from '../../bytes.ts';
import { diceKeyPurposeOid } from './oid.ts';
import type { TcbInfo } from './tcb-info.ts';
import { multiTcbInfoExtension, tcbInfoExtension, ueidExtension } from './testing-tcb-info.ts';

type Issuer = Pick<Certificate, 'subject' | 'spki'>;

/** The DeviceID certificate: the maker vouches for the key of layer 0. */
export function deviceIdProfile(input: ProfileInput, issuer: Issuer, tcbInfo: TcbInfo): CertificateTemplate {
  const { identityInit, attestInit, eca } = diceKeyPurposeOid;
  return layerCertificate(input, issuer, tcbInfo, [
    basicConstraints(true),
    keyUsage('keyCertSign'),
    critical(extendedKeyUsage(identityInit, attestInit, eca)),
  ]);
}

/** The identity of a chip whose layers are measured above it, as a Caliptra LDevID or IDevID: it names the chip and measures nothing. */
export function identityProfile(input: ProfileInput, issuer: Issuer, ueid: Uint8Array): CertificateTemplate {
  return chipCertificate(input, issuer, [basicConstraints(true), keyUsage('keyCertSign'), ueidExtension(ueid)]);
}

/** A Caliptra alias that issues the next one: several TcbInfos in one certificate, and no key purposes. */
export function multiLayerProfile(
  input: ProfileInput,
  issuer: Issuer,
  infos: readonly TcbInfo[],
  ueid: Uint8Array,
): CertificateTemplate {
  const uses = [basicConstraints(true), keyUsage('keyCertSign'), multiTcbInfoExtension(infos), ueidExtension(ueid)];
  return chipCertificate(input, issuer, uses);
}

/** A layer that measures and certifies the next one. */
export function middleLayerProfile(input: ProfileInput, issuer: Issuer, tcbInfo: TcbInfo): CertificateTemplate {
  return layerCertificate(input, issuer, tcbInfo, [
    basicConstraints(true),
    keyUsage('keyCertSign'),
    critical(extendedKeyUsage(diceKeyPurposeOid.attestLoc, diceKeyPurposeOid.eca)),
  ]);
}

/** The last layer: its key signs evidence and nothing else. */
export function aliasProfile(input: ProfileInput, issuer: Issuer, tcbInfo: TcbInfo): CertificateTemplate {
  return layerCertificate(input, issuer, tcbInfo, [
    basicConstraints(false),
    keyUsage('digitalSignature'),
    critical(extendedKeyUsage(diceKeyPurposeOid.attestLoc)),
  ]);
}

function layerCertificate(
  input: ProfileInput,
  issuer: Issuer,
  tcbInfo: TcbInfo,
  uses: readonly Extension[],
): CertificateTemplate {
  return chipCertificate(input, issuer, [...uses, tcbInfoExtension(tcbInfo)]);
}

function chipCertificate(input: ProfileInput, issuer: Issuer, uses: readonly Extension[]): CertificateTemplate {
  const identifier = keyIdentifierOf(input.spki);
  return {
    ...input,
    issuer: issuer.subject,
    // Firmware knows no names: the name comes from the key, so another key has another name.
    subject: commonNameOnly(toHex(identifier)),
    extensions: [...uses, subjectKeyIdentifier(identifier), authorityKeyIdentifier(keyIdentifierOf(issuer.spki))],
  };
}

function critical(extension: Extension): Extension {
  return { ...extension, critical: true };
}
