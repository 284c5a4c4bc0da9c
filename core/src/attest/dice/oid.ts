// Object identifiers of TCG DICE: extensions (DICE Attestation Architecture 1.1, section 6) and key purposes (DICE Certificate Profiles 1.0).

export const diceExtensionOid = {
  tcbInfo: '2.23.133.5.4.1',
  ueid: '2.23.133.5.4.4',
  multiTcbInfo: '2.23.133.5.4.5',
} as const;

/** `eca` issues certificates for the layers above it, `attestInit` and `attestLoc` sign evidence. */
export const diceKeyPurposeOid = {
  identityInit: '2.23.133.5.4.100.6',
  identityLoc: '2.23.133.5.4.100.7',
  attestInit: '2.23.133.5.4.100.8',
  attestLoc: '2.23.133.5.4.100.9',
  eca: '2.23.133.5.4.100.12',
} as const;
