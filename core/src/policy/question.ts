// A question to a policy (spec/access.md, "Question"): one JSON value with everything that is known, only whole numbers and texts, so that
// it can be stored, replayed against another policy, and written in a test file. Parts that a test leaves out have unremarkable values.
import { z } from 'zod';
import { parseAddress } from '../canonical/network.ts';
import { presentScope } from './former-scopes.ts';
import { actions, deviceActions } from './schema.ts';

/** The value of `ageSeconds` when there is nothing with an age: older than any condition allows. */
export const neverSeconds = 4_294_967_295;

const word = z.string().max(256);
const scopeName = word.transform(presentScope);
const count = z.int().min(0);
const moment = z.int().min(0).max(253_402_300_799_999);
/** Cedar's `decimal` has four decimal places. */
const decimal = z.string().regex(/^-?\d{1,12}\.\d{1,4}$/);

const device = z.strictObject({
  kind: z.literal('device'),
  id: word,
  tier: word.default('tpm'),
  state: word.default('active'),
  enabled: z.boolean().default(true),
  site: word.optional(),
  tags: z.record(word, word).default({}),
  groups: z.array(word).max(2_000).default([]),
  /** By what devices say of themselves. */
  claimGroups: z.array(word).max(2_000).default([]),
});
const granted = { id: word, scopes: z.array(scopeName).max(64).default([]), roles: z.array(word).max(64).default([]) };
const principal = z.discriminatedUnion('kind', [
  device,
  z.strictObject({ kind: z.literal('workload'), id: z.string().max(2_048), name: word, device }),
  z.strictObject({ kind: z.literal('person'), ...granted }),
  z.strictObject({ kind: z.literal('token'), ...granted, person: word.optional() }),
]);
const release = { name: word, version: word, publisher: word.default('') };
const resource = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('hub') }),
  /** `groups`: those that the model is for. */
  z.strictObject({ kind: z.literal('model'), ...release, groups: z.array(word).max(1_000).default([]) }),
  z.strictObject({ kind: z.literal('update'), ...release }),
]);

const network = z.strictObject({
  ip: z
    .string()
    .refine((text) => parseAddress(text) !== undefined, 'not an IP address')
    .default('127.0.0.1'),
  atSite: z.boolean().default(true),
  country: word.optional(),
});
const time = z.strictObject({
  /** Unix milliseconds. */
  now: moment.default(1_780_309_800_000),
  hour: z.int().min(0).max(23).default(12),
  minute: z.int().min(0).max(59).default(30),
  /** 1 is Monday, 7 is Sunday. */
  weekday: z.int().min(1).max(7).default(1),
});
/** A value of AR4SI, one signed octet. */
const claim = z.int().min(-128).max(127);
const deviceContext = z.strictObject({
  network: network.prefault({}),
  time: time.prefault({}),
  claimedLocation: z
    .strictObject({
      latitude: decimal,
      longitude: decimal,
      ageSeconds: count.default(0),
      metresFromSite: count.optional(),
      withinSite: z.boolean().optional(),
    })
    .optional(),
  presence: z.strictObject({ elsewhere: z.boolean().default(false), connections: count.default(1) }).prefault({}),
  traffic: z.strictObject({ lastMinute: count.default(1), percentOfUsual: count.default(100) }).prefault({}),
  health: z
    .strictObject({
      risk: z.enum(['low', 'medium', 'high']).default('low'),
      score: z.int().min(0).max(100).default(0),
      openAlerts: count.default(0),
    })
    .prefault({}),
  attestation: z
    .strictObject({
      status: word.default('affirming'),
      tier: word.default('tpm'),
      instanceIdentity: claim.default(2),
      configuration: claim.default(2),
      executables: claim.default(2),
      hardware: claim.default(2),
      ageSeconds: count.default(0),
      release: word.optional(),
      releaseName: word.optional(),
      pcrDigest: word.optional(),
      secureBoot: z
        .strictObject({
          on: z.boolean(),
          mok: z.boolean().optional(),
          /** Unix milliseconds. */
          dbxDate: moment.optional(),
          authorities: z.array(word).max(64).optional(),
        })
        .optional(),
    })
    .prefault({}),
  /** Walls around its guards, from its report. */
  guard: z
    .strictObject({ walls: z.array(word).max(64).default([]), missing: z.array(word).max(64).default([]) })
    .optional(),
  zone: decimal.optional(),
});
const operatorContext = z.strictObject({
  network: network.prefault({}),
  time: time.prefault({}),
  /** The scope that the route needs. */
  scope: scopeName,
  /** Whether the route changes anything. */
  changes: z.boolean().default(true),
});

/** Reads a question, complete or with parts left out. */
export const questionSchema = z
  .discriminatedUnion('action', [
    z.strictObject({
      action: z.enum(deviceActions),
      principal,
      resource: resource.default({ kind: 'hub' }),
      context: deviceContext.prefault({}),
    }),
    z.strictObject({
      action: z.literal('administer'),
      principal,
      resource: resource.default({ kind: 'hub' }),
      context: operatorContext,
    }),
  ])
  .refine(({ action, principal: who, resource: what }) => fits(action, who.kind, what.kind), {
    message: `a device or workload asks for ${actions.slice(0, -1).join(', ')}; a token or person for administer; releaseKey and fetch are about a model, update about an update, the others about the hub`,
  });

export type Question = z.infer<typeof questionSchema>;
export type Principal = z.infer<typeof principal>;
export type DevicePrincipal = z.infer<typeof device>;
export type Resource = z.infer<typeof resource>;
export type DeviceContext = z.infer<typeof deviceContext>;
export type OperatorContext = z.infer<typeof operatorContext>;

function fits(action: string, who: Principal['kind'], what: Resource['kind']): boolean {
  const operator = who === 'token' || who === 'person';
  if (operator !== (action === 'administer')) return false;
  if (action === 'releaseKey' || action === 'fetch') return what === 'model';
  return what === (action === 'update' ? 'update' : 'hub');
}
