// How the hub will judge this TPM's endorsement certificate: the same check as at enrollment (core/src/identity/endorsement-appraisal.ts),
// with the hub's roots.
import { CoreError } from '@edgekeep/core/error';
import { type Certificate, parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { nameText } from '@edgekeep/core/identity/distinguished-name';
import {
  appraiseEndorsement,
  type EndorsementAppraisal,
  isOfAnotherKey,
} from '@edgekeep/core/identity/endorsement-appraisal';
import { makerOf } from '@edgekeep/core/identity/maker-authority';
import { printable } from '@edgekeep/core/canonical/printable';
import { parsePublic, publicKeyOf } from '@edgekeep/core/tpm/public-area';
import type { TpmIdentity } from '@edgekeep/hardware/root-of-trust';
import { type Finding, ok, warning } from '@edgekeep/host/finding';
import type { MakerTrust } from './makers.ts';

const subject = 'EK certificate';
const howToJudge =
  'to judge it as a hub does: --operator FILE, or --vendor-roots with the file of the kit or the roots of the hub';
const howToTrust = 'edgekeep vendor-root import at the hub, with what the maker publishes (docs/vendor-roots.md)';

export type DescribedTpm = Pick<TpmIdentity, 'endorsementKey' | 'endorsementChain'>;

/** `trust` is left out when no roots are available: faults that do not depend on roots are still reported. */
export function examineEndorsement(
  { endorsementKey, endorsementChain }: DescribedTpm,
  trust: MakerTrust | undefined,
  nowSeconds: number,
): Finding {
  const { certificate, kind, publicArea } = endorsementKey;
  if (certificate === undefined) {
    const found = `none for the ${kind} endorsement key: a hub refuses this TPM (endorsement-certificate-missing)`;
    return warning(
      subject,
      found,
      'get it from the maker into the TPM, or set rootOfTrust.endorsementKey to a key that has one',
    );
  }
  const key = publicKeyOf(parsePublic(publicArea));
  if (isOfAnotherKey(certificate, key)) {
    const found = `${shown(certificate, kind)}; it is of another key than the TPM's: a hub refuses it (endorsement-key-differs)`;
    return warning(subject, found, "get the maker's certificate of this key, or replace the TPM");
  }
  const verdict = appraiseEndorsement({
    certificates: [certificate, ...endorsementChain],
    anchors: trust?.anchors ?? [],
    intermediates: trust?.intermediates ?? [],
    judgedAt: trust?.judgedAt ?? 'now',
    nowSeconds,
    key,
  });
  if (verdict.kind === 'valid') return valid(verdict, kind);
  const reasons = verdict.reasons.map(({ message }) => message);
  if (trust !== undefined) {
    const found = `the hub will refuse it: ${reasons.join('; ')}`;
    return warning(subject, `${shown(certificate, kind)}; ${printable(found, 2_000)}`, howToTrust);
  }
  // Without roots no path ends; every other reason is independent of the roots.
  const others = reasons.filter((reason) => !reason.startsWith('no issuer found'));
  if (others.length > 0)
    return warning(subject, `${shown(certificate, kind)}; any hub will refuse it: ${others.join('; ')}`, howToTrust);
  return warning(subject, `${shown(certificate, kind)}; not judged, no roots given`, howToJudge);
}

function valid({ chain, notes }: Extract<EndorsementAppraisal, { kind: 'valid' }>, kind: string): Finding {
  const anchor = chain.at(-1);
  const maker = anchor === undefined ? 'unknown' : makerOf(anchor);
  const ends = chain.map(({ notAfterSeconds }) => notAfterSeconds).reduce((a, b) => Math.min(a, b));
  const path = chain.map(nameOf).join(' < ');
  const found = `${maker}, for the ${kind} endorsement key; path ${path}; ${endText(ends)}`;
  if (notes.length === 0) return ok(subject, found);
  return warning(
    subject,
    `${found}; ${notes.join('; ')}`,
    'the hub accepts it with vendorRoots.endorsementJudgedAt: issuance',
  );
}

function shown(der: Uint8Array, kind: string): string {
  try {
    const certificate = parseForeignCertificate(der);
    return `by ${printable(nameText(certificate.issuer))}, for the ${kind} endorsement key, ${endText(certificate.notAfterSeconds)}`;
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return `${der.length} bytes, for the ${kind} endorsement key`;
  }
}

function nameOf(certificate: Certificate): string {
  const name = printable(nameText(certificate.subject));
  return name === '' ? '(no name)' : `"${name}"`;
}

// 9999-12-31: the certificate has no end (RFC 5280 section 4.1.2.5).
const withoutEnd = 253_402_300_799;

function endText(seconds: number): string {
  return seconds >= withoutEnd
    ? 'without an end date'
    : `until ${new Date(seconds * 1_000).toISOString().slice(0, 10)}`;
}
