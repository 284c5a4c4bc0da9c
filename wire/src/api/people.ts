// The messages about people and their API tokens (spec/operator-access.md). Times are Unix milliseconds.
import { z } from 'zod';
import { sha256Hex } from './bytes.ts';
import { roleName, roleWord, scopeName, scopeWord } from './words.ts';

export const personNameSchema = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,39}$/);
export const tokenIdSchema = z.string().regex(/^[0-9a-f]{16}$/, 'expected 16 hex digits in lower case');

export const personRequest = z.strictObject({ name: personNameSchema });
const personView = z.object({
  name: z.string(),
  addedAt: z.number(),
  /** Null while the person is not disabled. */
  disabledAt: z.number().nullable(),
  disabledReason: z.string().nullable(),
  /** How many valid API tokens the person has. */
  tokens: z.number(),
});
export type PersonView = z.infer<typeof personView>;
export const personList = z.object({
  people: z.array(personView),
  /** Whether root operations wait for a second person now. */
  twoPeople: z.boolean(),
});
export const personDisableRequest = z.strictObject({ reason: z.string().min(1).max(500) });
export const personDisabled = z.object({ name: z.string(), tokensEnded: z.number() });

/** The hub never sees the token: its owner made it. */
export const claimRequest = z.strictObject({
  name: personNameSchema,
  sha256: sha256Hex,
  lifeSeconds: z.int().min(60).max(31_536_000).default(7_776_000),
});
export const claimResponse = z.object({ name: z.string(), id: z.string(), expiresAt: z.number() });
export const handOverResponse = z.object({ id: z.string(), expiresAt: z.number() });

export const tokenView = z.object({
  id: tokenIdSchema,
  name: z.string(),
  /** Null for a service's. */
  person: z.string().nullable(),
  roles: z.array(roleWord),
  /** All its scopes, including those of its roles. */
  scopes: z.array(scopeWord),
  createdAt: z.number(),
  createdBy: z.string(),
  /** The token that it ends with; null for the first token of a family. A hub of an earlier version leaves it out. */
  endsWith: tokenIdSchema.nullable().default(null),
  expiresAt: z.number(),
  revokedAt: z.number().nullable(),
  /** Rounded to the minute. */
  lastUsedAt: z.number().nullable(),
  lastUsedFrom: z.string().nullable(),
});
export type TokenView = z.infer<typeof tokenView>;
export const tokenList = z.object({ tokens: z.array(tokenView), next: z.string().nullable() });

export const apiTokenRequest = z
  .strictObject({
    /** Recorded in the audit log. */
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/),
    scopes: z.array(scopeName).max(20).default([]),
    roles: z.array(roleName).max(10).default([]),
    /** The owner; without either, the caller. */
    person: personNameSchema.optional(),
    service: z.literal(true).optional(),
    /** The hash of the token's text, if its owner made it: the hub then never sees the text. */
    sha256: sha256Hex.optional(),
    /** Left out: 90 days, or the remaining life of the token that makes it. */
    lifeSeconds: z.int().min(60).max(31_536_000).optional(),
  })
  .refine(({ scopes, roles }) => scopes.length + roles.length > 0, 'name at least one scope or role')
  .refine(
    ({ person, service }) => person === undefined || service === undefined,
    'a token is a person’s or a service’s',
  );

/** `token` is null where the request had the `sha256`. */
export const apiTokenResponse = z.object({ id: z.string(), token: z.string().nullable(), expiresAt: z.number() });

/** How many tokens of this name were ended. */
export const apiTokenRevoked = z.object({ name: z.string(), revoked: z.number() });
