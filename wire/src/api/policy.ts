// The operator's messages about the access policy (spec/access.md): apply, simulate, history. Times are unix milliseconds.
import { policyTestsSchema } from '@edgekeep/core/policy/test-file';
import { z } from 'zod';
import { deviceIdSchema } from './device.ts';
import { publisherRefusals } from './model.ts';
import { countrySchema } from './site.ts';
import { networkSchema } from './texts.ts';

/** One request replaces the whole table. */
const COUNTRY_NETWORKS_MAX = 20_000;

const text = z.string().max(262_144);
const version = z.int().min(1);

export const policyRequest = z.strictObject({
  text,
  /** Kept with the policy; the policy is refused unless it passes them. */
  tests: policyTestsSchema.optional(),
  /** The version that this replaces; if another one is in force, it is a conflict. Left out: any version. */
  expectVersion: version.optional(),
});
export const policyApplied = z.object({
  version: z.number(),
  digest: z.string(),
  text: z.string(),
  appliedAt: z.number(),
  /** Live connections that it no longer permits, on the node that answers; other nodes close theirs on their own. */
  connectionsClosed: z.number(),
});
export const rollbackRequest = z.strictObject({ version, expectVersion: version.optional() });

export const policyVersions = z.object({
  versions: z.array(
    z.object({
      version: z.number(),
      digest: z.string(),
      appliedAt: z.number(),
      appliedBy: z.string(),
      tests: z.number(),
    }),
  ),
  next: z.number().nullable(),
});
export const policyVersionView = z.object({
  version: z.number(),
  digest: z.string(),
  text: z.string(),
  /** The actions of a statement about any action: `release-only` in texts from before there were several actions. */
  meaning: z.enum(['any-action', 'release-only']),
  appliedAt: z.number(),
  appliedBy: z.string(),
  tests: z.unknown(),
});

/** How many recorded decisions a simulation replays at most. */
const REPLAYED_MAX = 100_000;
/** How many principals each line of a simulation names at most. */
const NAMED_MAX = 100;

const membership = z.strictObject({
  add: z.array(deviceIdSchema).max(1_000).default([]),
  remove: z.array(deviceIdSchema).max(1_000).default([]),
});

export const simulateRequest = z.strictObject({
  /** Left out: the policy in force, with other facts. */
  text: text.optional(),
  /** The whole new table of countries; left out: unchanged. */
  countries: z
    .array(z.strictObject({ network: networkSchema, country: countrySchema }))
    .max(COUNTRY_NETWORKS_MAX)
    .optional(),
  /** The new members of groups. */
  groups: z.record(z.string().max(64), membership).default({}),
  /** How many recorded decisions, the newest first. */
  last: z.int().min(0).max(REPLAYED_MAX).default(10_000),
  /** Whether every device and token is asked about at this moment. */
  fleet: z.boolean().default(true),
  names: z.int().min(0).max(NAMED_MAX).default(10),
});
const change = z.object({
  change: z.enum(['gains', 'loses']),
  action: z.string(),
  /** The statements that make the difference: those of the draft that permit or forbid, else those in force that permitted. */
  by: z.array(z.string()),
  count: z.number(),
  names: z.array(z.string()),
});
export type AccessChange = z.infer<typeof change>;
const trial = z.object({
  asked: z.number(),
  unchanged: z.number(),
  changes: z.array(change),
});
/** A statement about keys or connections that rests on what devices say of themselves (docs/design/claims.md). */
const claimUse = z.object({
  statement: z.string(),
  /** Claim groups by name; members of the context as `context.guard`. */
  claims: z.array(z.string()),
  actions: z.array(z.string()),
  /** Whether the statement names them. A permit that does not permits none of these actions. */
  named: z.boolean(),
});
export type ClaimUseView = z.infer<typeof claimUse>;

export const simulation = z.object({
  policyVersion: z.number(),
  digest: z.string(),
  /** Of the draft. */
  claims: z.array(claimUse).default([]),
  replayed: trial,
  fleet: trial.extend({
    /** Devices and tokens in the simulation. */
    principals: z.number(),
    /** Devices among them without a known address: not connected, and without a recorded decision. */
    withoutAddress: z.number(),
  }),
  /** Models whose publishers refuse devices of the fleet, under every policy of the operator; such questions are left out above. */
  publishers: z.array(publisherRefusals.extend({ model: z.string(), version: z.string() })).default([]),
  /** The groups that require post-quantum protection, with the members of the draft; what the rule refuses, no policy permits. */
  postQuantum: z
    .array(
      z.object({
        group: z.string(),
        /** A name without a group asks nothing of anybody. */
        exists: z.boolean(),
        devices: z.number(),
        /** They get no key. */
        withoutHybridKey: z.number(),
        /** Connected now over a classical key exchange: cut off, and refused. */
        classicalConnection: z.number(),
        /** The first devices that it refuses something. */
        names: z.array(z.string()),
      }),
    )
    .default([]),
  /** Questions that the draft could not answer: such a draft is not applied. */
  errors: z.object({ count: z.number(), first: z.string().nullable() }),
});
export type Simulation = z.infer<typeof simulation>;

const countryNetwork = z.strictObject({ network: networkSchema, country: countrySchema });
export const countryNetworks = z
  .strictObject({ networks: z.array(countryNetwork).max(COUNTRY_NETWORKS_MAX) })
  .superRefine(({ networks }, context) => {
    const countries = new Map<string, string>();
    for (const { network, country } of networks) {
      const before = countries.get(network);
      countries.set(network, country);
      if (before === undefined || before === country) continue;
      context.addIssue({ code: 'custom', message: `${network} comes twice, as ${before} and as ${country}` });
      return;
    }
  });
/** The same in answers. */
export const countryNetworksView = z.object({
  networks: z.array(z.object({ network: z.string(), country: z.string() })),
});
export const countryNetworksResponse = z.object({ networks: z.number() });

export const policyView = z.object({
  version: z.number(),
  digest: z.string(),
  text: z.string(),
  appliedAt: z.number(),
  /** Statements that release the key of any model to any attested device with a TPM. */
  keysForEveryDevice: z.array(z.string()).default([]),
  claims: z.array(claimUse).default([]),
});
