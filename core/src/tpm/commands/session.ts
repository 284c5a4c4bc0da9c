// TPM2_StartAuthSession (TPM 2.0 Part 3, 11.1).
import { ByteWriter } from '../../bytes.ts';
import { algorithmIds, hashId, type TpmHash } from '../algorithm.ts';
import { entityOf, type Entity, type TpmCommand } from '../command.ts';
import { commandCodes } from '../command-code.ts';
import { sessionCipherBits } from '../session.ts';

/** TPM_SE. */
const sessionTypes = { hmac: 0x00, policy: 0x01, trial: 0x03 } as const;
/** TPM_RH_NULL. */
const nullHandle = 0x40000007;

export interface SessionRequest {
  readonly type: keyof typeof sessionTypes;
  readonly hash: TpmHash;
  /** Fresh random bytes, one digest long. */
  readonly nonceCaller: Uint8Array;
  /** A loaded decryption key and the TPM2B_ENCRYPTED_SECRET that `shareSeed(key, 'SECRET')` made; absent for an unsalted session. */
  readonly salt?: { readonly key: Entity; readonly encrypted: Uint8Array };
}

export interface StartedSession {
  readonly handle: number;
  readonly nonceTpm: Uint8Array;
}

export function startAuthSession({ type, hash, nonceCaller, salt }: SessionRequest): TpmCommand<StartedSession> {
  const writer = new ByteWriter()
    .sized16(nonceCaller)
    .bytes(salt === undefined ? Uint8Array.of(0, 0) : salt.encrypted)
    .u8(sessionTypes[type]);
  if (salt === undefined) writer.u16(algorithmIds.null);
  else writer.u16(algorithmIds.aes).u16(sessionCipherBits).u16(algorithmIds.cfb);
  return {
    name: 'TPM2_StartAuthSession',
    code: commandCodes.startAuthSession,
    handles: [salt === undefined ? entityOf(nullHandle) : salt.key, entityOf(nullHandle)],
    parameters: writer.u16(hashId(hash)).finish(),
    returnsHandle: true,
    parse: (response, handle) => ({ handle, nonceTpm: response.sized16() }),
  };
}
