// Commands and responses as bytes (TPM 2.0 Part 1, 18): header, handles, authorization area, parameters. The commands themselves are in
// commands/; nonces, HMACs and parameter encryption are in session.ts.
import { ByteReader, ByteWriter } from '../bytes.ts';
import { CoreError } from '../error.ts';

/** A handle and what represents it in authorizations: the Name of an object or NV index, else the handle itself (Part 1, 16). */
export interface Entity {
  readonly handle: number;
  readonly name: Uint8Array;
}

export interface TpmCommand<Response> {
  /** The standard's name, for messages. */
  readonly name: string;
  readonly code: number;
  /** Handles in order; those that need authorization come first. */
  readonly handles: readonly Entity[];
  readonly parameters: Uint8Array;
  /** Whether a handle precedes the response's parameters. */
  readonly returnsHandle?: boolean;
  /** Reads the response's parameters; `handle` is 0 unless `returnsHandle`. Unread bytes are an error. */
  parse(response: ByteReader, handle: number): Response;
}

/** One entry of the authorization area, ready to be written (Part 2, 10.13.2 TPMS_AUTH_COMMAND). */
export interface AuthorizationEntry {
  readonly handle: number;
  readonly nonce: Uint8Array;
  readonly attributes: number;
  readonly hmac: Uint8Array;
}

/** TPMS_AUTH_RESPONSE. */
export interface AuthorizationAnswer {
  readonly nonce: Uint8Array;
  readonly attributes: number;
  readonly hmac: Uint8Array;
}

export type TpmResponse =
  | { readonly kind: 'error'; readonly responseCode: number }
  | {
      readonly kind: 'success';
      readonly handle: number;
      readonly parameters: Uint8Array;
      readonly authorizations: readonly AuthorizationAnswer[];
    };

/** TPM_PT_MAX_RESPONSE_SIZE of PC Client TPMs is 4096; no answer is longer. */
export const RESPONSE_BYTES_MAX = 4096;
export const headerBytes = 10;

const tagNoSessions = 0x8001;
const tagSessions = 0x8002;

/** A permanent entity, PCR or session, which has no Name of its own. */
export function entityOf(handle: number): Entity {
  return { handle, name: new ByteWriter().u32(handle).finish() };
}

/** `parameters` may differ from the command's own when the first one is encrypted. */
export function encodeCommand(
  command: TpmCommand<unknown>,
  authorizations: readonly AuthorizationEntry[],
  parameters: Uint8Array = command.parameters,
): Uint8Array {
  const body = new ByteWriter();
  for (const { handle } of command.handles) body.u32(handle);
  if (authorizations.length > 0) {
    const area = encodeAuthorizations(authorizations);
    body.u32(area.length).bytes(area);
  }
  const bytes = body.bytes(parameters).finish();
  const tag = authorizations.length > 0 ? tagSessions : tagNoSessions;
  return new ByteWriter()
    .u16(tag)
    .u32(headerBytes + bytes.length)
    .u32(command.code)
    .bytes(bytes)
    .finish();
}

function encodeAuthorizations(authorizations: readonly AuthorizationEntry[]): Uint8Array {
  const area = new ByteWriter();
  for (const { handle, nonce, attributes, hmac } of authorizations) {
    area.u32(handle).sized16(nonce).u8(attributes).sized16(hmac);
  }
  return area.finish();
}

/** The length in a response's first bytes; throws for an impossible one. */
export function responseLength(bytes: Uint8Array): number {
  const reader = new ByteReader(bytes, 'TPM response');
  reader.u16();
  const length = reader.u32();
  if (length < headerBytes || length > RESPONSE_BYTES_MAX) throw invalid(`a length of ${length} bytes`);
  return length;
}

/** Splits a response; `authorizationCount` is the number of the command's authorizations. Wrong lengths and trailing bytes throw. */
export function parseResponse(
  bytes: Uint8Array,
  command: TpmCommand<unknown>,
  authorizationCount: number,
): TpmResponse {
  if (responseLength(bytes) !== bytes.length) throw invalid('its length field differs from its length');
  const reader = new ByteReader(bytes, `response to ${command.name}`);
  const tag = reader.u16();
  reader.u32();
  const responseCode = reader.u32();
  if (responseCode !== 0) {
    reader.end();
    return { kind: 'error', responseCode };
  }
  if (tag !== (authorizationCount > 0 ? tagSessions : tagNoSessions)) throw invalid(`tag 0x${tag.toString(16)}`);
  const handle = command.returnsHandle === true ? reader.u32() : 0;
  const parameters = reader.bytes(authorizationCount > 0 ? reader.u32() : reader.remaining);
  const authorizations: AuthorizationAnswer[] = [];
  for (let index = 0; index < authorizationCount; index++) {
    authorizations.push({ nonce: reader.sized16(), attributes: reader.u8(), hmac: reader.sized16() });
  }
  reader.end();
  return { kind: 'success', handle, parameters, authorizations };
}

/** Reads the parameters of a successful response to the end. */
export function parseParameters<Response>(
  command: TpmCommand<Response>,
  parameters: Uint8Array,
  handle: number,
): Response {
  const reader = new ByteReader(parameters, `response to ${command.name}`);
  const response = command.parse(reader, handle);
  reader.end();
  return response;
}

function invalid(message: string): CoreError {
  return new CoreError('tpm-structure-invalid', `TPM response: ${message}`);
}
