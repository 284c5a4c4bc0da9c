// The messages about the nodes of a hub (spec/platform-secrets.md, "A code to join"). Times are unix milliseconds.
import { z } from 'zod';
import { base64url } from './bytes.ts';

export const nodeNameSchema = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/, 'expected 1 to 63 of a-z, 0-9, dot and dash');

export const nodeView = z.object({
  id: z.string(),
  name: z.string(),
  /** `invited`: it joined and never started. `silent`: it was killed, or cannot reach the store. `ended`: it was stopped. */
  state: z.enum(['invited', 'running', 'silent', 'ended', 'removed']),
  version: z.string(),
  /** Where its listeners are, for people; null before its first start. */
  addresses: z.object({ device: z.string(), operator: z.string() }).nullable(),
  joinedAt: z.number(),
  seenAt: z.number().nullable(),
  /** Since it was seen, by the clock of the store. */
  silentSeconds: z.number().nullable(),
  /** Entries of the log that its tiles do not have yet. */
  logLag: z.number(),
  connections: z.number(),
  keysVersion: z.number(),
  removedAt: z.number().nullable(),
});

/** `self` is the node that answered; `keysVersion` is 0 while the keys are in its data folder. */
export const nodeList = z.object({ nodes: z.array(nodeView), self: z.string().nullable(), keysVersion: z.number() });

const JOIN_LIFE_SECONDS_MAX = 86_400;

/** The caller made the code: the hub gets its public key alone. */
export const inviteRequest = z.strictObject({
  name: nodeNameSchema,
  /** Ed25519, 32 bytes. */
  publicKey: base64url(43),
  lifeSeconds: z.int().min(60).max(JOIN_LIFE_SECONDS_MAX),
});
export const inviteResponse = z.object({ name: z.string(), code: z.string(), expiresAt: z.number() });

export const removeNodeRequest = z.strictObject({ reason: z.string().min(1).max(500) });
export const removeNodeResponse = z.object({ name: z.string(), removed: z.literal(true), keysVersion: z.number() });

/** What a new node needs before it can verify anything else: it knows the digest. */
export const joinRoot = z.object({ root: z.string() });

export const joinRequest = z.strictObject({
  code: z.string().regex(/^[0-9a-f]{16}$/),
  /** DER SPKI, P-256. */
  nodeKey: base64url(172),
  /** By the code, over the connection. */
  signature: base64url(86),
});

export const joinResponse = z.object({
  node: z.object({ id: z.string(), name: z.string() }),
  /** What the node trusts of the hub's sealed keys in the store. */
  keys: z.object({ hub: z.string(), version: z.number(), kek: z.number(), publicKey: z.string() }),
  /** The settings that all nodes share; `store.url` says where the store is. */
  settings: z.record(z.string(), z.unknown()),
  /** PEM. */
  root: z.string(),
  issuing: z.string(),
});
