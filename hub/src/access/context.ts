// From facts to a question (spec/access.md, "Context"): where a connection comes from, the local time at the site, the device's health.
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import type { SecureBoot } from '@edgekeep/core/attest/secure-boot';
import { metresBetween } from '@edgekeep/core/policy/distance';
import { wallTime } from '@edgekeep/core/policy/local-time';
import { canonicalAddress, networkContains, parseAddress, parseNetwork } from '@edgekeep/core/canonical/network';
import {
  type DeviceContext,
  neverSeconds,
  type OperatorContext,
  type Principal,
  type Question,
  type Resource,
} from '@edgekeep/core/policy/question';
import type { DeviceAction } from '@edgekeep/core/policy/schema';
import type { SiteView } from '@edgekeep/wire/api/site';
import { z } from 'zod';
import type { Caller } from '../people/api-token.ts';
import { guardOf } from '../respond/device-guard.ts';
import type { DeviceFacts } from './facts.ts';
import { healthOf } from './health.ts';
import type { TrafficNow } from './traffic.ts';

/** What is true of the connection, and of this moment. */
export interface RequestEnvironment {
  /** Where the connection comes from. */
  readonly address: string;
  readonly country: string | undefined;
  readonly presence: DeviceContext['presence'];
  readonly traffic: TrafficNow;
  /** Made from the evidence in this request; undefined to take the newest result that is stored. */
  readonly appraisal: Appraisal | undefined;
  readonly nowMs: number;
}

export function deviceQuestion(
  action: DeviceAction,
  facts: DeviceFacts,
  resource: Resource,
  environment: RequestEnvironment,
  workload?: { readonly id: string; readonly name: string },
): Question {
  const { row, principal, site, claim } = facts;
  const { nowMs, presence, traffic } = environment;
  const who: Principal = workload === undefined ? principal : { kind: 'workload', ...workload, device: principal };
  const attestation =
    environment.appraisal === undefined ? storedAttestation(facts, nowMs) : freshAttestation(environment.appraisal);
  const health = healthOf({
    state: row.state,
    enabled: principal.enabled,
    attestation: attestation.status,
    alerts: facts.alerts,
    elsewhere: presence.elsewhere,
  });
  const guard = guardOf(row);
  const context: DeviceContext = {
    network: networkOf(environment, site),
    time: timeAt(nowMs, site?.timeZone ?? 'UTC'),
    ...(claim === undefined ? {} : { claimedLocation: claimedLocation(claim, site, nowMs) }),
    presence,
    traffic: { lastMinute: traffic.lastMinute, percentOfUsual: traffic.percentOfUsual },
    health,
    attestation,
    ...(guard === undefined ? {} : { guard: { walls: [...guard.walls], missing: [...guard.missing] } }),
    ...(site?.zone === undefined || site.zone === null
      ? {}
      : { zone: site.zone.includes('.') ? site.zone : `${site.zone}.0` }),
  };
  return { action, principal: who, resource, context };
}

export interface OperatorEnvironment {
  readonly address: string;
  readonly country: string | undefined;
  readonly scope: string;
  readonly changes: boolean;
  readonly nowMs: number;
}

/** The principal for a caller's token. The token of a person has that person as its parent. */
export function operatorQuestion(
  caller: Pick<Caller, 'person' | 'roles' | 'scopes' | 'actor'>,
  environment: OperatorEnvironment,
): Question {
  const { nowMs, scope, changes } = environment;
  const context: OperatorContext = {
    network: networkOf(environment, undefined),
    time: timeAt(nowMs, 'UTC'),
    scope,
    changes,
  };
  const { actor, person } = caller;
  const scopes = caller.scopes.toSorted();
  const principal: Principal = {
    kind: 'token',
    id: actor,
    scopes,
    roles: caller.roles.toSorted(),
    ...(person === undefined ? {} : { person }),
  };
  return { action: 'administer', principal, resource: { kind: 'hub' }, context };
}

function networkOf(
  { address, country }: Pick<RequestEnvironment, 'address' | 'country'>,
  site: SiteView | undefined,
): DeviceContext['network'] {
  // Without its zone: a policy cannot use the name of the interface of a link-local address.
  const ip = canonicalAddress(address);
  const parsed = ip === undefined ? undefined : parseAddress(ip);
  const networks = site?.networks.map(parseNetwork) ?? [];
  const atSite =
    parsed !== undefined && networks.some((network) => network !== undefined && networkContains(network, parsed));
  // An address that cannot be read matches no network that a policy could trust.
  return { ip: ip ?? '0.0.0.0', atSite, ...(country === undefined ? {} : { country }) };
}

function timeAt(nowMs: number, timeZone: string): DeviceContext['time'] {
  return { now: Math.floor(nowMs / 1_000) * 1_000, ...wallTime(nowMs, timeZone) };
}

function claimedLocation(
  claim: NonNullable<DeviceFacts['claim']>,
  site: SiteView | undefined,
  nowMs: number,
): DeviceContext['claimedLocation'] {
  const { latitude, longitude, saidAt } = claim;
  const position = site?.position ?? undefined;
  const metres = position === undefined ? undefined : metresBetween(claim, position);
  return {
    latitude: latitude.toFixed(4),
    longitude: longitude.toFixed(4),
    ageSeconds: secondsSince(saidAt, nowMs),
    ...(metres === undefined || position === undefined
      ? {}
      : { metresFromSite: metres, withinSite: metres <= position.radius }),
  };
}

function freshAttestation({ status, tier, vector, release, measured }: Appraisal): DeviceContext['attestation'] {
  return { status, tier, ...claimsOf(vector), ageSeconds: 0, ...measuredOf(release, measured) };
}

// Stored by this hub. A shape that does not fit counts as not attested.
// What a hub of the version before stored has neither release nor measurements.
const storedAppraisal = z.object({
  status: z.string(),
  vector: z.record(z.string(), z.int()).default({}),
  release: z.object({ name: z.string(), version: z.string() }).optional(),
  measured: z
    .object({
      pcrDigest: z.string(),
      secureBoot: z
        .object({
          on: z.boolean(),
          mok: z.boolean().optional(),
          dbxDate: z.int().optional(),
          authorities: z.array(z.string()).optional(),
        })
        .optional(),
    })
    .optional(),
});

/** What is absent here is absent in the question: a policy that asks for it does not permit. */
function measuredOf(
  release: Appraisal['release'],
  measured: Appraisal['measured'],
): Partial<DeviceContext['attestation']> {
  const { pcrDigest, secureBoot } = measured ?? {};
  return {
    ...(release === undefined ? {} : { release: release.version, releaseName: release.name }),
    ...(pcrDigest === undefined ? {} : { pcrDigest }),
    ...(secureBoot === undefined ? {} : { secureBoot: questionSecureBoot(secureBoot) }),
  };
}

function questionSecureBoot({
  on,
  mok,
  dbxDate,
  authorities,
}: SecureBoot): NonNullable<DeviceContext['attestation']['secureBoot']> {
  return {
    on,
    ...(mok === undefined ? {} : { mok }),
    ...(dbxDate === undefined ? {} : { dbxDate }),
    // More than these have no place in a question, and a policy must not decide by some of them.
    ...(authorities === undefined || authorities.length > AUTHORITIES_MAX ? {} : { authorities: [...authorities] }),
  };
}

const AUTHORITIES_MAX = 64;

function storedAttestation({ row }: DeviceFacts, nowMs: number): DeviceContext['attestation'] {
  const stored = row.appraisal === null ? undefined : storedAppraisal.safeParse(JSON.parse(row.appraisal)).data;
  if (stored === undefined || row.appraised_at === null) {
    return { status: 'none', tier: row.tier, ...claimsOf({}), ageSeconds: neverSeconds };
  }
  const ageSeconds = secondsSince(row.appraised_at, nowMs);
  const { status, vector, release, measured } = stored;
  return { status, tier: row.tier, ...claimsOf(vector), ageSeconds, ...measuredOf(release, measured) };
}

function claimsOf(vector: Readonly<Partial<Record<string, number>>>) {
  return {
    instanceIdentity: vector['instance-identity'] ?? 0,
    configuration: vector['configuration'] ?? 0,
    executables: vector['executables'] ?? 0,
    hardware: vector['hardware'] ?? 0,
  };
}

function secondsSince(thenMs: number, nowMs: number): number {
  return Math.max(0, Math.floor((nowMs - thenMs) / 1_000));
}
