// Who says what the hub knows (docs/design/claims.md): the one table of every Cedar attribute and every registry field. What is `claimed`
// decides about no key and no connection unless a policy names it.

/**
 * `measured`: the hub saw it, or hardware and signatures prove it. `decided`: an operator, a publisher or the hub set it. `claimed`: the
 * device says so, and its holder can make it say anything.
 */
export type Origin = 'measured' | 'decided' | 'claimed';

/** By path: a principal's parents are under `principal in TYPE`, its tags under `principal.tags`. */
export const attributeOrigins: Readonly<Record<string, Origin>> = {
  principal: 'measured',
  'principal in Group': 'decided',
  'principal in ClaimGroup': 'claimed',
  'principal in Site': 'decided',
  'principal in Device': 'measured',
  'principal in Person': 'decided',
  'principal.tier': 'measured',
  'principal.state': 'decided',
  'principal.enabled': 'decided',
  'principal.site': 'decided',
  'principal.tags': 'decided',
  'principal.name': 'decided',
  'principal.scopes': 'decided',
  'principal.roles': 'decided',
  'resource.name': 'decided',
  'resource.version': 'decided',
  'resource.publisher': 'measured',
  'resource.groups': 'decided',
  'context.network.ip': 'measured',
  'context.network.atSite': 'measured',
  'context.network.country': 'measured',
  'context.time.now': 'measured',
  'context.time.hour': 'measured',
  'context.time.minute': 'measured',
  'context.time.weekday': 'measured',
  'context.claimedLocation.latitude': 'claimed',
  'context.claimedLocation.longitude': 'claimed',
  'context.claimedLocation.ageSeconds': 'claimed',
  'context.claimedLocation.metresFromSite': 'claimed',
  'context.claimedLocation.withinSite': 'claimed',
  'context.presence.elsewhere': 'measured',
  'context.presence.connections': 'measured',
  'context.traffic.lastMinute': 'measured',
  'context.traffic.percentOfUsual': 'measured',
  'context.health.risk': 'decided',
  'context.health.score': 'decided',
  'context.health.openAlerts': 'decided',
  'context.attestation.status': 'measured',
  'context.attestation.tier': 'measured',
  'context.attestation.instanceIdentity': 'measured',
  'context.attestation.configuration': 'measured',
  'context.attestation.executables': 'measured',
  'context.attestation.hardware': 'measured',
  'context.attestation.ageSeconds': 'measured',
  'context.attestation.release': 'measured',
  'context.attestation.releaseName': 'measured',
  'context.attestation.pcrDigest': 'measured',
  'context.attestation.secureBoot.on': 'measured',
  'context.attestation.secureBoot.mok': 'measured',
  'context.attestation.secureBoot.dbxDate': 'measured',
  'context.attestation.secureBoot.authorities': 'measured',
  'context.guard.walls': 'claimed',
  'context.guard.missing': 'claimed',
  'context.zone': 'decided',
  'context.scope': 'measured',
  'context.changes': 'measured',
};

/** By field of a filter, as people write it. */
export const registryOrigins = {
  id: 'decided',
  tier: 'measured',
  state: 'decided',
  attestation: 'measured',
  seenAt: 'claimed',
  enrolledAt: 'measured',
  enabled: 'decided',
  site: 'decided',
  enrollmentGroup: 'decided',
  group: 'decided',
  holds: 'claimed',
  fault: 'claimed',
  'tags.KEY': 'decided',
  'reported.PATH': 'claimed',
  'desired.PATH': 'decided',
} as const satisfies Readonly<Record<string, Origin>>;

export type RegistryField = keyof typeof registryOrigins;
