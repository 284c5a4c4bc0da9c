// Opens the key-encryption key with the secret that a person or a program offers, and wraps it for new unlockers.
import { randomBytes } from 'node:crypto';
import { equalBytes, parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { HubError } from '../common/error.ts';
import { newCost, parseNewPassphrase, parsePassphrase, stretchPassphrase } from './passphrase.ts';
import type { SealedFile, Unlocker } from './sealed-file.ts';
import { seal, unlockerContext, type UnlockerTerms, unseal, wrappingKey } from './sealing.ts';
import { combineShares, type Share, splitSecret } from './share.ts';

/** A secret that is offered to open the keys. */
export type Offer =
  | { readonly kind: 'passphrase'; readonly passphrase: string }
  | { readonly kind: 'shares'; readonly shares: readonly Share[] }
  | { readonly kind: 'program'; readonly secret: Uint8Array };

/** An unlocker to be made. */
export type NewUnlocker =
  | { readonly kind: 'passphrase'; readonly passphrase: string }
  | { readonly kind: 'shares'; readonly needed: number; readonly made: number; readonly keep: KeepShares }
  | { readonly kind: 'program'; readonly secret: Uint8Array };

/** Hands new shares to their people; the unlocker is not used before this resolves. */
export type KeepShares = (shares: readonly Share[]) => Promise<void>;

/**
 * The KEK, which the caller zeroes, and the unlocker that opened it. Every unlocker of the offered kind is tried completely, so the time
 * does not reveal which one fits. Throws `unlock-refused`.
 */
export async function openKeyEncryptionKey(
  file: Pick<SealedFile, 'unlockers'>,
  offer: Offer,
): Promise<{ readonly kek: Uint8Array; readonly unlocker: string }> {
  const candidates = file.unlockers.filter((unlocker) => unlocker.kind === offer.kind);
  if (candidates.length === 0) {
    const kinds = [...new Set(file.unlockers.map(({ kind }) => kind))].join(', ');
    throw new HubError('unlock-refused', `no ${offer.kind} opens these keys: their unlockers are ${kinds}`);
  }
  let found: { readonly kek: Uint8Array; readonly unlocker: string } | undefined;
  for (const unlocker of candidates) {
    const secret = await secretFor(unlocker, offer);
    if (secret === undefined) continue;
    const { wrapped, ...terms } = unlocker;
    const kek = unseal(wrappingKey(secret), parseBase64url(wrapped, 'wrapped key'), unlockerContext(terms));
    secret.fill(0);
    if (kek !== undefined) found = { kek, unlocker: unlocker.id };
  }
  if (found === undefined) throw new HubError('unlock-refused', refusals[offer.kind]);
  return found;
}

const refusals: Readonly<Record<Offer['kind'], string>> = {
  passphrase: 'the passphrase does not open the keys',
  shares: 'the shares do not open the keys: one of them is wrong, or they belong to another split',
  program: 'the output of the unlock program does not open the keys',
};

/** The 32 bytes for this unlocker, or undefined when the offer is for another one of its kind. */
async function secretFor(unlocker: Unlocker, offer: Offer): Promise<Uint8Array | undefined> {
  if (unlocker.kind === 'passphrase' && offer.kind === 'passphrase') {
    const salt = parseBase64url(unlocker.salt, 'salt');
    return stretchPassphrase(parsePassphrase(offer.passphrase), salt, unlocker.scrypt);
  }
  if (unlocker.kind === 'shares' && offer.kind === 'shares') {
    const set = parseBase64url(unlocker.set, 'set');
    const own = offer.shares.filter((share) => equalBytes(share.set, set));
    return own.length === 0 ? undefined : combineShares(own);
  }
  if (unlocker.kind === 'program' && offer.kind === 'program') return Uint8Array.from(offer.secret);
  return undefined;
}

/** Wraps the KEK for a new unlocker with a free id. */
export async function addUnlocker(kek: Uint8Array, order: NewUnlocker, taken: ReadonlySet<string>): Promise<Unlocker> {
  const id = freeId(order.kind, taken);
  switch (order.kind) {
    case 'passphrase': {
      const salt = randomBytes(16);
      const secret = await stretchPassphrase(parseNewPassphrase(order.passphrase), salt, newCost);
      const terms = { kind: 'passphrase', id, salt: toBase64url(salt), scrypt: newCost } as const;
      return { ...terms, wrapped: wrapKek(kek, secret, terms) };
    }
    case 'shares': {
      const secret = randomBytes(32);
      const shares = await splitSecret(secret, order.needed, order.made);
      await order.keep(shares);
      const [first] = shares;
      if (first === undefined) throw new TypeError('a split without shares');
      const { needed, made } = order;
      const terms = { kind: 'shares', id, set: toBase64url(first.set), needed, made } as const;
      return { ...terms, wrapped: wrapKek(kek, secret, terms) };
    }
    case 'program': {
      const terms = { kind: 'program', id } as const;
      return { ...terms, wrapped: wrapKek(kek, Uint8Array.from(order.secret), terms) };
    }
  }
}

/** Zeroes the secret. */
function wrapKek(kek: Uint8Array, secret: Uint8Array, terms: UnlockerTerms): string {
  try {
    return toBase64url(seal(wrappingKey(secret), kek, unlockerContext(terms)));
  } finally {
    secret.fill(0);
  }
}

function freeId(kind: string, taken: ReadonlySet<string>): string {
  for (let number = 1; ; number += 1) if (!taken.has(`${kind}-${number}`)) return `${kind}-${number}`;
}
