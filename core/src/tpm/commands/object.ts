// Creating, loading and reading objects (TPM 2.0 Part 3, 12, 24.1, 28.5).
import { type ByteReader, ByteWriter } from '../../bytes.ts';
import { algorithmIds } from '../algorithm.ts';
import { type Entity, entityOf, type TpmCommand } from '../command.ts';
import { commandCodes } from '../command-code.ts';
import { encodeSizedPublic, hierarchies, type Hierarchy, parsePublic, type TpmPublic } from '../public-area.ts';

const none = new Uint8Array(0);
/** TPM_RH_NULL. */
const nullHierarchy = 0x40000007;

export interface CreatedPrimary {
  readonly handle: number;
  readonly publicArea: TpmPublic;
  readonly name: Uint8Array;
  readonly creation: CreationProof;
}

/** Shows this TPM later that it made the object itself. */
export interface CreationProof {
  readonly creationHash: Uint8Array;
  /** TPMT_TK_CREATION. */
  readonly ticket: Uint8Array;
}

export interface LoadedObject {
  readonly handle: number;
  readonly name: Uint8Array;
}

export interface ReadObject {
  readonly publicArea: TpmPublic;
  readonly name: Uint8Array;
  readonly qualifiedName: Uint8Array;
}

/** The same template gives the same key every time. Authorization: the hierarchy. */
export function createPrimary(hierarchy: Hierarchy, template: TpmPublic): TpmCommand<CreatedPrimary> {
  const sensitive = new ByteWriter().sized16(none).sized16(none).finish();
  const parameters = new ByteWriter()
    .sized16(sensitive)
    .bytes(encodeSizedPublic(template))
    .sized16(none)
    .u32(0)
    .finish();
  return {
    name: 'TPM2_CreatePrimary',
    code: commandCodes.createPrimary,
    handles: [entityOf(hierarchies[hierarchy])],
    parameters,
    returnsHandle: true,
    parse: (response, handle) => {
      const publicArea = parsePublic(response.sized16());
      response.sized16();
      const creation = { creationHash: response.sized16(), ticket: readTicket(response) };
      return { handle, publicArea, name: response.sized16(), creation };
    },
  };
}

export function readPublic(handle: number): TpmCommand<ReadObject> {
  return {
    name: 'TPM2_ReadPublic',
    code: commandCodes.readPublic,
    handles: [entityOf(handle)],
    parameters: none,
    parse: (response) => {
      const publicArea = parsePublic(response.sized16());
      const name = response.sized16();
      return { publicArea, name, qualifiedName: response.sized16() };
    },
  };
}

/** Loads a child; `privateArea` is a TPM2B_PRIVATE of this TPM, `publicArea` a TPM2B_PUBLIC. Authorization: the parent. */
export function load(parent: Entity, privateArea: Uint8Array, publicArea: Uint8Array): TpmCommand<LoadedObject> {
  return {
    name: 'TPM2_Load',
    code: commandCodes.load,
    handles: [parent],
    parameters: new ByteWriter().bytes(privateArea).bytes(publicArea).finish(),
    returnsHandle: true,
    parse: (response, handle) => ({ handle, name: response.sized16() }),
  };
}

/** Loads a public key from outside. A ticket made with it needs a hierarchy other than null. */
export function loadExternal(publicArea: TpmPublic, hierarchy: Hierarchy | null): TpmCommand<LoadedObject> {
  const sized = encodeSizedPublic(publicArea);
  const handle = hierarchy === null ? nullHierarchy : hierarchies[hierarchy];
  return {
    name: 'TPM2_LoadExternal',
    code: commandCodes.loadExternal,
    handles: [],
    parameters: new ByteWriter().sized16(none).bytes(sized).u32(handle).finish(),
    returnsHandle: true,
    parse: (response, loaded) => ({ handle: loaded, name: response.sized16() }),
  };
}

/** Re-wraps an import blob (see import-blob.ts) under its parent; gives a TPM2B_PRIVATE for `load`. Authorization: the parent. */
export function importObject(
  parent: Entity,
  publicArea: Uint8Array,
  duplicate: Uint8Array,
  encryptedSeed: Uint8Array,
): TpmCommand<Uint8Array> {
  const parameters = new ByteWriter()
    .sized16(none)
    .bytes(publicArea)
    .bytes(duplicate)
    .bytes(encryptedSeed)
    .u16(algorithmIds.null)
    .finish();
  return {
    name: 'TPM2_Import',
    code: commandCodes.import,
    handles: [parent],
    parameters,
    parse: (response) => new ByteWriter().sized16(response.sized16()).finish(),
  };
}

/** The data of a sealed object, a view into the response. Authorization: the object. */
export function unseal(item: Entity): TpmCommand<Uint8Array> {
  return {
    name: 'TPM2_Unseal',
    code: commandCodes.unseal,
    handles: [item],
    parameters: none,
    parse: (response) => response.sized16(),
  };
}

/** A TPMT_TK_* ticket as bytes: tag, hierarchy, digest. */
export function readTicket(response: ByteReader): Uint8Array {
  const tag = response.u16();
  const hierarchy = response.u32();
  return new ByteWriter().u16(tag).u32(hierarchy).sized16(response.sized16()).finish();
}
