// Object identifiers that this package reads or writes, under the names of their standards.

/** RFC 5280 section 4.2.1 and appendix A. */
export const extensionOid = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  policyMappings: '2.5.29.33',
  authorityKeyIdentifier: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extendedKeyUsage: '2.5.29.37',
  inhibitAnyPolicy: '2.5.29.54',
} as const;

/** RFC 5280 section 4.2.1.12; `tcgEndorsementKey` is tcg-kp-EKCertificate of the TCG EK Credential Profile. */
export const keyPurposeOid = {
  any: '2.5.29.37.0',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  ocspSigning: '1.3.6.1.5.5.7.3.9',
  tcgEndorsementKey: '2.23.133.8.1',
} as const;

/** X.520 attribute types of distinguished names, and the three the TCG adds for a TPM. */
export const attributeOid = {
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  country: '2.5.4.6',
  locality: '2.5.4.7',
  state: '2.5.4.8',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  tpmManufacturer: '2.23.133.2.1',
  tpmModel: '2.23.133.2.2',
  tpmVersion: '2.23.133.2.3',
} as const;

/** id-on: forms of otherName in an alternative name (RFC 4108 section 5). */
export const otherNameOid = { hardwareModuleName: '1.3.6.1.5.5.7.8.4' } as const;

/** What a TCG DevID authority has verified of the key (TPM 2.0 Keys for Device Identity and Attestation, 8.1): certificate policies. */
export const tcgPolicyOid = { verifiedTpmResidency: '2.23.133.11.1.1', verifiedTpmFixed: '2.23.133.11.1.2' } as const;

/** RFC 3279, RFC 4055, RFC 5758, RFC 8410. */
export const algorithmOid = {
  rsaEncryption: '1.2.840.113549.1.1.1',
  rsaOaep: '1.2.840.113549.1.1.7',
  mgf1: '1.2.840.113549.1.1.8',
  rsaPss: '1.2.840.113549.1.1.10',
  rsaSha256: '1.2.840.113549.1.1.11',
  rsaSha384: '1.2.840.113549.1.1.12',
  rsaSha512: '1.2.840.113549.1.1.13',
  ecdsaSha256: '1.2.840.10045.4.3.2',
  ecdsaSha384: '1.2.840.10045.4.3.3',
  ecdsaSha512: '1.2.840.10045.4.3.4',
  ed25519: '1.3.101.112',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
} as const;

/** RFC 5480 section 2.1.1, under the names OpenSSL gives them. */
export const curveOid = {
  prime256v1: '1.2.840.10045.3.1.7',
  secp384r1: '1.3.132.0.34',
  secp521r1: '1.3.132.0.35',
} as const;

/** RFC 5480 section 2.1: how a request for attributes names a kind of key. */
export const keyOid = { ecPublicKey: '1.2.840.10045.2.1', p256: '1.2.840.10045.3.1.7' } as const;

/** PKCS #9 extensionRequest (RFC 2985), the attribute of a certificate request that carries extensions. */
export const extensionRequestOid = '1.2.840.113549.1.9.14';

/** RFC 5280 section 4.2.1.4: every policy at once. */
export const anyPolicyOid = '2.5.29.32.0';

/** Addresses for revocation status (RFC 5280 sections 4.2.1.13 and 4.2.2.1); no part of path validation. */
export const statusOid = {
  crlDistributionPoints: '2.5.29.31',
  authorityInformationAccess: '1.3.6.1.5.5.7.1.1',
  accessOcsp: '1.3.6.1.5.5.7.48.1',
} as const;

/** RFC 5280 sections 5.2.3 and 5.3.1. */
export const crlOid = { crlNumber: '2.5.29.20', reasonCode: '2.5.29.21' } as const;

/** RFC 6960 and RFC 9654; SHA-1 names certificates in requests and signs nothing. */
export const ocspOid = {
  basicResponse: '1.3.6.1.5.5.7.48.1.1',
  nonce: '1.3.6.1.5.5.7.48.1.2',
  noCheck: '1.3.6.1.5.5.7.48.1.5',
  sha1: '1.3.14.3.2.26',
} as const;

/** RFC 5652 section 4 and 5.1. */
export const cmsOid = { data: '1.2.840.113549.1.7.1', signedData: '1.2.840.113549.1.7.2' } as const;
