// TPM2_Quote, TPM2_Certify, TPM2_CertifyCreation (TPM 2.0 Part 3, 18), TPM2_ActivateCredential (12.5), TPM2_VerifySignature (20.1), TPM2_Sign (20.2).
import { type ByteReader, ByteWriter } from '../../bytes.ts';
import { algorithmIds } from '../algorithm.ts';
import type { Entity, TpmCommand } from '../command.ts';
import { commandCodes } from '../command-code.ts';
import { encodePcrSelections, type PcrSelection } from '../pcr-selection.ts';
import { encodeTpmSignature, readTpmSignature, type TpmSignature } from '../signature.ts';
import { type CreationProof, readTicket } from './object.ts';

/** TPM_ST_HASHCHECK and TPM_RH_NULL. */
const hashCheckTag = 0x8024;
const nullHierarchy = 0x40000007;

export interface SignedAttest {
  /** TPMS_ATTEST, the bytes that are signed. */
  readonly attest: Uint8Array;
  readonly signature: TpmSignature;
}

/** Signs PCR values with the key's own scheme. Authorization: the key. */
export function quote(
  key: Entity,
  qualifyingData: Uint8Array,
  selections: readonly PcrSelection[],
): TpmCommand<SignedAttest> {
  const parameters = new ByteWriter()
    .sized16(qualifyingData)
    .u16(algorithmIds.null)
    .bytes(encodePcrSelections(selections))
    .finish();
  return { name: 'TPM2_Quote', code: commandCodes.quote, handles: [key], parameters, parse: readSignedAttest };
}

/** Signs that this TPM made `object`, which needs no authorization. Authorization: key. */
export function certifyCreation(
  key: Entity,
  object: Entity,
  qualifyingData: Uint8Array,
  { creationHash, ticket }: CreationProof,
): TpmCommand<SignedAttest> {
  const parameters = new ByteWriter()
    .sized16(qualifyingData)
    .sized16(creationHash)
    .u16(algorithmIds.null)
    .bytes(ticket)
    .finish();
  return {
    name: 'TPM2_CertifyCreation',
    code: commandCodes.certifyCreation,
    handles: [key, object],
    parameters,
    parse: readSignedAttest,
  };
}

/** Signs a digest with the key's own scheme; a restricted key refuses data that the TPM has not hashed itself. Authorization: key. */
export function sign(key: Entity, digest: Uint8Array): TpmCommand<TpmSignature> {
  // TPMT_TK_HASHCHECK of the null hierarchy: an unrestricted key asks for none.
  const noTicket = new ByteWriter().u16(hashCheckTag).u32(nullHierarchy).sized16(new Uint8Array(0)).finish();
  return {
    name: 'TPM2_Sign',
    code: commandCodes.sign,
    handles: [key],
    parameters: new ByteWriter().sized16(digest).u16(algorithmIds.null).bytes(noTicket).finish(),
    parse: readTpmSignature,
  };
}

/** TPM2B_ATTEST and TPMT_SIGNATURE. */
export function readSignedAttest(response: ByteReader): SignedAttest {
  const attest = response.sized16();
  return { attest, signature: readTpmSignature(response) };
}

/** Opens a credential made for `key` and the Name of `activated`. Authorization: activated, then key. */
export function activateCredential(
  activated: Entity,
  key: Entity,
  credentialBlob: Uint8Array,
  encryptedSecret: Uint8Array,
): TpmCommand<Uint8Array> {
  return {
    name: 'TPM2_ActivateCredential',
    code: commandCodes.activateCredential,
    handles: [activated, key],
    parameters: new ByteWriter().bytes(credentialBlob).bytes(encryptedSecret).finish(),
    parse: (response) => response.sized16(),
  };
}

/** A ticket (TPMT_TK_VERIFIED) that this TPM saw `key` sign `digest`; PolicyAuthorize takes it. */
export function verifySignature(key: Entity, digest: Uint8Array, signature: TpmSignature): TpmCommand<Uint8Array> {
  return {
    name: 'TPM2_VerifySignature',
    code: commandCodes.verifySignature,
    handles: [key],
    parameters: new ByteWriter().sized16(digest).bytes(encodeTpmSignature(signature)).finish(),
    parse: readTicket,
  };
}
