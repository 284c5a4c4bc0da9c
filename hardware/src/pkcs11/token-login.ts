// Logs in to a token (PKCS#11 2.40 section 5.6), and closes sessions that may be gone already.
import type { Handle } from './cryptoki.ts';
import { returnValueOf } from './cryptoki-error.ts';
import type { Cryptoki } from './module.ts';
import { readPin } from './pin.ts';
import { assertPinMayBeTried, type Token } from './slots.ts';

/** Throws `pkcs11-pin-unreadable` and `pkcs11-pin-refused`. A token that asks for no login needs no PIN file. */
export async function login({ api, binding }: Cryptoki, token: Token, session: Handle, pinFile: string): Promise<void> {
  if (!token.loginRequired) return;
  assertPinMayBeTried(token);
  const pin = await readPin(pinFile);
  try {
    api.C_Login(session, binding.CKU_USER, pin);
  } catch (error) {
    // The login counts for all sessions of this process with the token.
    if (returnValueOf(error) !== 'CKR_USER_ALREADY_LOGGED_IN') throw error;
  }
}

export function closeQuietly({ api }: Cryptoki, session: Handle): void {
  try {
    api.C_CloseSession(session);
  } catch {
    // A removed token has closed its sessions.
  }
}
