// NV indices (TPM 2.0 Part 3, 31): reading the certificates that a manufacturer stored, and counters that only increase.
import { ByteReader, ByteWriter } from '../../bytes.ts';
import { algorithmIds, digest, hashId, readHash, type TpmHash } from '../algorithm.ts';
import { type Entity, entityOf, type TpmCommand } from '../command.ts';
import { commandCodes } from '../command-code.ts';
import { hierarchies } from '../public-area.ts';
import { readSignedAttest, type SignedAttest } from './attestation.ts';

/** TPMA_NV bits (Part 2, 13.4); the type is in bits 4 to 7. */
export const nvAttributes = {
  ownerWrite: 1 << 1,
  authWrite: 1 << 2,
  counter: 1 << 4,
  policyDelete: 1 << 10,
  ownerRead: 1 << 17,
  authRead: 1 << 18,
  noDictionaryAttack: 1 << 25,
  written: 1 << 29,
} as const;

/** TPMS_NV_PUBLIC (Part 2, 13.6). */
export interface NvPublic {
  readonly index: number;
  readonly nameAlgorithm: TpmHash;
  readonly attributes: number;
  readonly authPolicy: Uint8Array;
  readonly dataSize: number;
}

const none = new Uint8Array(0);
const nothing = () => undefined;

function encodeNvPublic({ index, nameAlgorithm, attributes, authPolicy, dataSize }: NvPublic): Uint8Array {
  const writer = new ByteWriter().u32(index).u16(hashId(nameAlgorithm)).u32(attributes);
  return writer.sized16(authPolicy).u16(dataSize).finish();
}

/** Name of an NV index: algorithm || H(TPMS_NV_PUBLIC). It changes when the index is first written. */
export function nvName(nvPublic: NvPublic): Uint8Array {
  const hash = nvPublic.nameAlgorithm;
  return new ByteWriter()
    .u16(hashId(hash))
    .bytes(digest(hash, encodeNvPublic(nvPublic)))
    .finish();
}

export function nvReadPublic(index: number): TpmCommand<{ readonly nvPublic: NvPublic; readonly name: Uint8Array }> {
  return {
    name: 'TPM2_NV_ReadPublic',
    code: commandCodes.nvReadPublic,
    handles: [entityOf(index)],
    parameters: none,
    parse: (response) => {
      const nvPublic = parseNvPublic(response.sized16());
      return { nvPublic, name: response.sized16() };
    },
  };
}

function parseNvPublic(bytes: Uint8Array): NvPublic {
  const reader = new ByteReader(bytes, 'NV public area');
  const index = reader.u32();
  const nameAlgorithm = readHash(reader, 'NV public area');
  const attributes = reader.u32();
  const authPolicy = reader.sized16();
  const dataSize = reader.u16();
  reader.end();
  return { index, nameAlgorithm, attributes, authPolicy, dataSize };
}

/** Authorization: `authority` (the index itself, or the owner). */
export function nvRead(authority: Entity, index: Entity, length: number, offset: number): TpmCommand<Uint8Array> {
  return {
    name: 'TPM2_NV_Read',
    code: commandCodes.nvRead,
    handles: [authority, index],
    parameters: new ByteWriter().u16(length).u16(offset).finish(),
    parse: (response) => response.sized16(length),
  };
}

/** Authorization: `authority` (the index itself, or the owner). */
export function nvWrite(authority: Entity, index: Entity, data: Uint8Array, offset: number): TpmCommand<undefined> {
  return {
    name: 'TPM2_NV_Write',
    code: commandCodes.nvWrite,
    handles: [authority, index],
    parameters: new ByteWriter().sized16(data).u16(offset).finish(),
    parse: nothing,
  };
}

/** Signs the content of an index. Authorization: the key, then `authority`. */
export function nvCertify(
  key: Entity,
  authority: Entity,
  index: Entity,
  qualifyingData: Uint8Array,
  length: number,
): TpmCommand<SignedAttest> {
  return {
    name: 'TPM2_NV_Certify',
    code: commandCodes.nvCertify,
    handles: [key, authority, index],
    parameters: new ByteWriter().sized16(qualifyingData).u16(algorithmIds.null).u16(length).u16(0).finish(),
    parse: readSignedAttest,
  };
}

/** Authorization: the owner hierarchy. The index has an empty authorization value. */
export function nvDefineSpace(nvPublic: NvPublic): TpmCommand<undefined> {
  return {
    name: 'TPM2_NV_DefineSpace',
    code: commandCodes.nvDefineSpace,
    handles: [entityOf(hierarchies.owner)],
    parameters: new ByteWriter().sized16(none).sized16(encodeNvPublic(nvPublic)).finish(),
    parse: nothing,
  };
}

/** Authorization: the owner hierarchy. */
export function nvUndefineSpace(index: Entity): TpmCommand<undefined> {
  return {
    name: 'TPM2_NV_UndefineSpace',
    code: commandCodes.nvUndefineSpace,
    handles: [entityOf(hierarchies.owner), index],
    parameters: none,
    parse: nothing,
  };
}

/** Authorization: `authority`. A new counter begins above every value any counter of this TPM ever had. */
export function nvIncrement(authority: Entity, index: Entity): TpmCommand<undefined> {
  return {
    name: 'TPM2_NV_Increment',
    code: commandCodes.nvIncrement,
    handles: [authority, index],
    parameters: none,
    parse: nothing,
  };
}
