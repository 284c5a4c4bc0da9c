// The Cedar schema that every policy is validated against (spec/access.md, "Schema"): principals, resources, and the known facts.

/** Actions of devices and their workloads. */
export const deviceActions = [
  'connect',
  'attest',
  'releaseKey',
  'fetch',
  'publishTelemetry',
  'receiveCommand',
  'update',
] as const;
export const actions = [...deviceActions, 'administer'] as const;
export type Action = (typeof actions)[number];
export type DeviceAction = (typeof deviceActions)[number];

export const policySchema = `
namespace Edgekeep {
  entity Group;
  // By what devices say of themselves (docs/design/claims.md).
  entity ClaimGroup;
  entity Site;
  entity Hub;
  entity Device in [Group, ClaimGroup, Site] = { tier: String, state: String, enabled: Bool, site?: Site } tags String;
  entity Workload in [Device] = { name: String, tier: String, state: String, enabled: Bool, site?: Site } tags String;
  entity Person = { scopes: Set<String>, roles: Set<String> };
  entity Token in [Person] = { scopes: Set<String>, roles: Set<String> };
  entity Model = { name: String, version: String, publisher: String, groups: Set<Group> };
  entity Update = { name: String, version: String, publisher: String };

  type Network = { ip: ipaddr, atSite: Bool, country?: String };
  type Time = { now: datetime, hour: Long, minute: Long, weekday: Long };
  type ClaimedLocation = {
    latitude: decimal,
    longitude: decimal,
    ageSeconds: Long,
    metresFromSite?: Long,
    withinSite?: Bool,
  };
  type Presence = { elsewhere: Bool, connections: Long };
  type Traffic = { lastMinute: Long, percentOfUsual: Long };
  type Health = { risk: String, score: Long, openAlerts: Long };
  type SecureBoot = { on: Bool, mok?: Bool, dbxDate?: datetime, authorities?: Set<String> };
  type Attestation = {
    status: String,
    tier: String,
    instanceIdentity: Long,
    configuration: Long,
    executables: Long,
    hardware: Long,
    ageSeconds: Long,
    release?: String,
    releaseName?: String,
    pcrDigest?: String,
    secureBoot?: SecureBoot,
  };
  type Guard = { walls: Set<String>, missing: Set<String> };
  type DeviceContext = {
    network: Network,
    time: Time,
    claimedLocation?: ClaimedLocation,
    presence: Presence,
    traffic: Traffic,
    health: Health,
    attestation: Attestation,
    guard?: Guard,
    zone?: decimal,
  };
  type OperatorContext = { network: Network, time: Time, scope: String, changes: Bool };

  action connect, attest, publishTelemetry, receiveCommand
    appliesTo { principal: [Device, Workload], resource: Hub, context: DeviceContext };
  action releaseKey, fetch appliesTo { principal: [Device, Workload], resource: Model, context: DeviceContext };
  action update appliesTo { principal: [Device, Workload], resource: Update, context: DeviceContext };
  action administer appliesTo { principal: [Token, Person], resource: Hub, context: OperatorContext };
}`;
