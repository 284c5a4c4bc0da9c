// The messages about groups that need post-quantum protection (spec/access.md, "Post-quantum by group").
import { z } from 'zod';

export const postQuantumRequest = z.strictObject({
  /** All of them; an empty list removes the rule. */
  groups: z.array(z.string().min(1).max(64)).max(100),
});

const effect = z.object({
  group: z.string(),
  exists: z.boolean(),
  /** Devices by tier; `excluded` have no hybrid key and get no model key. */
  tiers: z.array(z.object({ tier: z.string(), devices: z.number(), excluded: z.number() })),
});

export type PostQuantumEffect = z.infer<typeof effect>;

export const postQuantumEffects = z.object({ effects: z.array(effect) });

export const postQuantumView = postQuantumEffects.extend({
  /** 0: no operator has set any. */
  version: z.number(),
  groups: z.array(z.string()),
  /** Those of `access.requirePostQuantum`. */
  settings: z.array(z.string()),
});
