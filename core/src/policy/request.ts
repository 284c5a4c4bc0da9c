// A question in Cedar's form: entities with their parents, a context with addresses, times and decimals in Cedar's own types.
import type { CedarValueJson, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { DeviceContext, DevicePrincipal, Principal, Question, Resource } from './question.ts';

export interface CedarRequest {
  readonly principal: TypeAndId;
  readonly action: TypeAndId;
  readonly resource: TypeAndId;
  readonly context: Record<string, CedarValueJson>;
  readonly entities: EntityJson[];
}

export function requestOf(question: Question): CedarRequest {
  return {
    principal: uidOf(question.principal),
    action: uid('Action', question.action),
    resource: uidOfResource(question.resource),
    context: contextOf(question),
    entities: [...entitiesOf(question.principal), resourceOf(question.resource)],
  };
}

export function uidOf(who: Principal): TypeAndId {
  switch (who.kind) {
    case 'device':
      return uid('Device', who.id);
    case 'workload':
      return uid('Workload', who.id);
    case 'person':
      return uid('Person', who.id);
    case 'token':
      return uid('Token', who.id);
  }
}

export function uidOfResource(resource: Resource): TypeAndId {
  switch (resource.kind) {
    case 'hub':
      return uid('Hub', 'hub');
    case 'model':
      return uid('Model', `${resource.name}@${resource.version}`);
    case 'update':
      return uid('Update', `${resource.name}@${resource.version}`);
  }
}

function uid(type: string, id: string): TypeAndId {
  return { type: `Edgekeep::${type}`, id };
}

function entitiesOf(who: Principal): readonly EntityJson[] {
  const self = uidOf(who);
  switch (who.kind) {
    case 'device':
      return [deviceEntity(who)];
    case 'workload': {
      // Facts of the device also apply to its workloads; a workload finds the device's groups and site through the device.
      const device = deviceEntity(who.device);
      return [
        { ...device, uid: self, attrs: { ...device.attrs, name: who.name }, parents: [uidOf(who.device)] },
        device,
      ];
    }
    case 'person':
      return [{ uid: self, attrs: { scopes: who.scopes, roles: who.roles }, parents: [] }];
    case 'token': {
      const parents = who.person === undefined ? [] : [uid('Person', who.person)];
      return [{ uid: self, attrs: { scopes: who.scopes, roles: who.roles }, parents }];
    }
  }
}

function deviceEntity(device: DevicePrincipal): EntityJson {
  const { tier, state, enabled, site } = device;
  const at = site === undefined ? [] : [uid('Site', site)];
  const place: Record<string, CedarValueJson> = site === undefined ? {} : { site: { __entity: uid('Site', site) } };
  return {
    uid: uidOf(device),
    attrs: { tier, state, enabled, ...place },
    parents: [
      ...device.groups.map((group) => uid('Group', group)),
      ...device.claimGroups.map((group) => uid('ClaimGroup', group)),
      ...at,
    ],
    tags: { ...device.tags },
  };
}

function resourceOf(resource: Resource): EntityJson {
  const attrs: Record<string, CedarValueJson> = {};
  if (resource.kind !== 'hub') {
    const { name, version, publisher } = resource;
    Object.assign(attrs, { name, version, publisher });
    if (resource.kind === 'model')
      Object.assign(attrs, { groups: resource.groups.map((group) => ({ __entity: uid('Group', group) })) });
  }
  return { uid: uidOfResource(resource), attrs, parents: [] };
}

function contextOf({ context }: Question): Record<string, CedarValueJson> {
  const { network, time } = context;
  const common = {
    network: withoutUndefined({ ...network, ip: extension('ip', network.ip) }),
    time: { ...time, now: extension('datetime', new Date(time.now).toISOString()) },
  };
  if ('scope' in context) return { ...common, scope: context.scope, changes: context.changes };
  const { claimedLocation: claimed, guard, zone, presence, traffic, health, attestation } = context;
  const location =
    claimed === undefined
      ? undefined
      : withoutUndefined({
          ...claimed,
          latitude: extension('decimal', claimed.latitude),
          longitude: extension('decimal', claimed.longitude),
        });
  const level = zone === undefined ? undefined : extension('decimal', zone);
  return withoutUndefined({
    ...common,
    presence,
    traffic,
    health,
    attestation: attestationOf(attestation),
    guard: guard === undefined ? undefined : { walls: [...guard.walls], missing: [...guard.missing] },
    claimedLocation: location,
    zone: level,
  });
}

function attestationOf({ secureBoot, ...rest }: DeviceContext['attestation']): Record<string, CedarValueJson> {
  return withoutUndefined({ ...rest, secureBoot: secureBoot === undefined ? undefined : secureBootOf(secureBoot) });
}

function secureBootOf({
  on,
  mok,
  dbxDate,
  authorities,
}: NonNullable<DeviceContext['attestation']['secureBoot']>): Record<string, CedarValueJson> {
  return withoutUndefined({
    on,
    mok,
    dbxDate: dbxDate === undefined ? undefined : extension('datetime', new Date(dbxDate).toISOString()),
    authorities: authorities === undefined ? undefined : [...authorities],
  });
}

// Optional attributes without a value are left out: Cedar takes no undefined.
function withoutUndefined(
  record: Readonly<Record<string, CedarValueJson | undefined>>,
): Record<string, CedarValueJson> {
  const kept: Record<string, CedarValueJson> = {};
  for (const [name, value] of Object.entries(record)) if (value !== undefined) kept[name] = value;
  return kept;
}

function extension(fn: string, arg: string): CedarValueJson {
  return { __extn: { fn, arg } };
}
