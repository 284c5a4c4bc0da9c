// OCSP answers (RFC 6960 section 4.2), made by a responder with its own certificate from the issuing authority.
import { createHash } from 'node:crypto';
import { utf8 } from '../bytes.ts';
import {
  contextTag,
  DerReader,
  derBitString,
  derExplicit,
  derOctetString,
  derOid,
  derSequence,
  derTag,
  derValue,
} from '../der.ts';
import { CoreError } from '../error.ts';
import type { Signer } from '../signer.ts';
import type { Certificate } from './certificate.ts';
import { type RevocationReason, revocationReasonCodes } from './crl-reason.ts';
import { encodeExtensions } from './extensions.ts';
import { nonceExtension } from './ocsp-request.ts';
import { ocspOid } from './oid.ts';
import { encodeSignatureAlgorithm } from './signature-algorithm.ts';

const derEnumerated = 0x0a;

/** The meaning of an answer without a status (RFC 6960 section 4.2.1). */
const failureCodes = { malformedRequest: 1, internalError: 2, tryLater: 3 } as const;
export type OcspFailure = keyof typeof failureCodes;

/** An answer that only says why there is none; it is not signed. */
export function encodeOcspFailure(failure: OcspFailure): Uint8Array {
  return derSequence(derValue(derEnumerated, Uint8Array.of(failureCodes[failure])));
}

export type CertificateStatus =
  | { readonly kind: 'good' }
  | { readonly kind: 'revoked'; readonly revokedAtSeconds: number; readonly reason: RevocationReason }
  | { readonly kind: 'unknown' };

export interface OcspAnswer {
  /** Each certificate's identifier as the request had it, with its status, in the order of the request. */
  readonly statuses: readonly (readonly [certId: Uint8Array, status: CertificateStatus])[];
  /** Unix seconds: when these statuses were known to be correct, and until when they are valid. */
  readonly thisUpdateSeconds: number;
  readonly nextUpdateSeconds: number;
  /** The request's nonce. */
  readonly nonce: Uint8Array | undefined;
}

/** Signs an answer with the responder's key. */
export async function encodeOcspResponse(
  answer: OcspAnswer,
  responder: Certificate,
  signer: Signer,
): Promise<Uint8Array> {
  const times = [
    derGeneralizedTime(answer.thisUpdateSeconds),
    derExplicit(0, derGeneralizedTime(answer.nextUpdateSeconds)),
  ];
  const responses = answer.statuses.map(([certId, status]) => derSequence(certId, encodeStatus(status), ...times));
  const extensions =
    answer.nonce === undefined ? [] : [derExplicit(1, encodeExtensions([nonceExtension(answer.nonce)]))];
  const data = derSequence(
    derExplicit(2, derOctetString(keyHash(responder))),
    derGeneralizedTime(answer.thisUpdateSeconds),
    derSequence(...responses),
    ...extensions,
  );
  const basic = derSequence(
    data,
    encodeSignatureAlgorithm(signer.algorithm),
    derBitString(await signer.sign(data)),
    derExplicit(0, derSequence(responder.der)),
  );
  const bytes = derSequence(derOid(ocspOid.basicResponse), derOctetString(basic));
  return derSequence(derValue(derEnumerated, Uint8Array.of(0)), derExplicit(0, bytes));
}

function encodeStatus(status: CertificateStatus): Uint8Array {
  switch (status.kind) {
    case 'good':
      return derValue(contextTag(0, false));
    case 'unknown':
      return derValue(contextTag(2, false));
    case 'revoked': {
      const code = Uint8Array.of(revocationReasonCodes[status.reason]);
      const reason = status.reason === 'unspecified' ? [] : [derExplicit(0, derValue(derEnumerated, code))];
      return derValue(contextTag(1, true), derGeneralizedTime(status.revokedAtSeconds), ...reason);
    }
  }
}

// RFC 6960 section 4.2.2.3: KeyHash is always SHA-1; it only helps to find the certificate.
function keyHash({ spki }: Certificate): Uint8Array {
  const info = new DerReader(spki, 'responder key').inside();
  info.inside();
  return createHash('sha1').update(info.octetsInBitString()).digest();
}

// Unlike certificates, OCSP has GeneralizedTime in every year (RFC 6960 section 4.2.2.1).
function derGeneralizedTime(seconds: number): Uint8Array {
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > 253_402_300_799) {
    throw new CoreError('ocsp-invalid', `not a time an OCSP answer can hold: ${seconds}`);
  }
  const digits = new Date(seconds * 1_000).toISOString().replaceAll(/[-:T]|\.000/g, '');
  return derValue(derTag.generalizedTime, utf8(digits));
}
