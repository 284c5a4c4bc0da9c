// Why a certificate was revoked: CRLReason of RFC 5280 section 5.3.1, shared by CRL entries and OCSP answers.

/** Names and numbers of the standard; 7 is not used there. */
export const revocationReasonCodes = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  removeFromCRL: 8,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const;
export type RevocationReason = keyof typeof revocationReasonCodes;

/** The name of a reason; undefined for anything else. */
export function parseRevocationReason(text: string): RevocationReason | undefined {
  return names.find((name) => name === text);
}

/** The reason with this number; undefined for a number the standard does not use. */
export function revocationReasonOf(code: number): RevocationReason | undefined {
  return names.find((name) => revocationReasonCodes[name] === code);
}

const names: readonly RevocationReason[] = [
  'unspecified',
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'certificateHold',
  'removeFromCRL',
  'privilegeWithdrawn',
  'aACompromise',
];
