// The tokens of a module, and the choice of one (PKCS#11 2.40 section 5.5).
import { endianness } from 'node:os';
import { toHex } from '@edgekeep/core/bytes';
import { HardwareError } from '../error.ts';
import type { Handle } from './cryptoki.ts';
import type { Cryptoki } from './module.ts';

/** More readers than one machine has; a broken module must not keep the process busy. */
const SLOTS_MAX = 64;

export interface TokenChoice {
  /** CKA_LABEL of the token, without its padding. */
  readonly label?: string | undefined;
  readonly slot?: number | undefined;
}

/** What a token reports about itself; nothing of it is proven. */
export interface TokenDescription {
  readonly label: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly serialNumber: string;
}

export interface Token {
  readonly slot: number;
  readonly handle: Handle;
  readonly description: TokenDescription;
  readonly initialized: boolean;
  /** Some small chips have no PIN: the host they are soldered to is their user. */
  readonly loginRequired: boolean;
  /** The next wrong PIN locks the token. */
  readonly pinFinalTry: boolean;
  readonly pinLocked: boolean;
}

export function listTokens({ api, binding }: Cryptoki): readonly Token[] {
  return api
    .C_GetSlotList(true)
    .slice(0, SLOTS_MAX)
    .map((handle): Token => {
      const { label, manufacturerID, model, serialNumber, flags } = api.C_GetTokenInfo(handle);
      return {
        slot: numberOf(handle),
        handle,
        description: {
          label: unpadded(label),
          manufacturer: unpadded(manufacturerID),
          model: unpadded(model),
          serialNumber: unpadded(serialNumber),
        },
        initialized: (flags & binding.CKF_TOKEN_INITIALIZED) !== 0,
        loginRequired: (flags & binding.CKF_LOGIN_REQUIRED) !== 0,
        pinFinalTry: (flags & binding.CKF_USER_PIN_FINAL_TRY) !== 0,
        pinLocked: (flags & binding.CKF_USER_PIN_LOCKED) !== 0,
      };
    });
}

/** The chosen token; with an empty choice the only one there is. Throws `pkcs11-token-missing` for none or several. */
export function chooseToken(tokens: readonly Token[], { label, slot }: TokenChoice): Token {
  const present = tokens.filter(({ initialized }) => initialized);
  const [found, ...more] = present.filter(
    (token) =>
      (label === undefined || token.description.label === label) && (slot === undefined || token.slot === slot),
  );
  if (found !== undefined && more.length === 0) return found;
  const wanted = [label === undefined ? [] : `labeled ${label}`, slot === undefined ? [] : `in slot ${slot}`].flat();
  const there = present.map(({ slot: at, description }) => `${description.label} in slot ${at}`).join(', ') || 'none';
  const count = found === undefined ? 'there is no token' : 'there are several tokens';
  throw new HardwareError('pkcs11-token-missing', `${[count, ...wanted].join(' ')}; present: ${there}`);
}

/** Throws `pkcs11-pin-refused` when a try with the PIN could do harm: a service that restarts repeatedly must not lock the token. */
export function assertPinMayBeTried({ description: { label }, pinLocked, pinFinalTry }: Token): void {
  if (pinLocked) {
    throw new HardwareError('pkcs11-pin-refused', `the PIN of token ${label} is locked: unlock it with its SO PIN`);
  }
  if (pinFinalTry) {
    const message = `token ${label} allows one more try: log in by hand (pkcs11-tool --login) with the right PIN first`;
    throw new HardwareError('pkcs11-pin-refused', message);
  }
}

/** CK_SLOT_ID is a CK_ULONG: four or eight bytes, as the machine orders them. */
function numberOf(handle: Handle): number {
  const bytes = endianness() === 'LE' ? handle.toReversed() : handle;
  return Number(BigInt(`0x${toHex(bytes)}`));
}

/** Fields have a fixed length, padded with spaces; control characters of a broken token do not reach a screen. */
function unpadded(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '').trim();
}
