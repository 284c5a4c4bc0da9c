// The operations that one person cannot carry out alone (spec/operator-access.md, "Two people"): they decide whom the hub trusts
// afterwards, or the facts that a policy of two people depends on. This is the only list of them.
import { assignRequest } from '@edgekeep/wire/api/model';
import { apiTokenRequest } from '@edgekeep/wire/api/people';
import { revocationRequest } from '@edgekeep/wire/api/revocation';
import type { RegistryField } from '@edgekeep/core/policy/origins';
import { z } from 'zod';
import type { Caller } from './api-token.ts';
import { covers, type Scope, scopesOf } from './roles.ts';
import { ownerOf, tokenOrderOf } from './token-store.ts';

export interface RootOperation {
  readonly name: string;
  readonly method: 'POST' | 'PUT' | 'DELETE';
  /** As the route is declared. */
  readonly route: string;
  /** The scope that both people need; left out: the scope of the route. */
  readonly scope?: Scope;
  /** The requests of the route that need two people; left out: all of them. `body` has passed the route's schema. */
  readonly applies?: (asked: OperationRequest) => boolean;
  /** What must be changed before the request can be kept: the response to an approved request goes to the approver. */
  readonly obstacle?: (body: unknown) => string | undefined;
  /** The operation adds the second person: one person may do it alone while there is none. */
  readonly bootstraps?: true;
}

/** What a request of such a route asks, and the facts that it is checked against. */
export interface OperationRequest {
  readonly body: unknown;
  /** The name in its path; empty if there is none. */
  readonly name: string;
  readonly caller: Caller;
  readonly limits: RootLimits;
  readonly rules: PolicyRules;
}

/** The facts that the policy in force depends on. */
export interface PolicyRules {
  /** Groups that the policy or the post-quantum rule names, and the groups of models where the policy uses them. */
  readonly groups: ReadonlySet<string>;
  /** Whether one of those groups has a filter as members, which tags can match. */
  readonly filters: boolean;
  /** What those filters ask. */
  readonly filterFields: ReadonlySet<RegistryField>;
  /** Whether any statement uses this path of a question. */
  readonly looksAt: (path: string) => boolean;
}

export interface RootLimits {
  /** Enrollment tokens with a longer life than this need two people, in days. */
  readonly enrollmentAloneDays: number;
  /** The number of devices or certificates that one person may revoke in one request. */
  readonly maxRevokedAlone: number;
}

export const rootOperations: readonly RootOperation[] = [
  { name: 'trust-publisher', method: 'POST', route: '/v1/publishers' },
  { name: 'end-publisher', method: 'POST', route: '/v1/publishers/:sha256/end' },
  { name: 'open-enrollment-group', method: 'POST', route: '/v1/enrollment-groups' },
  { name: 'limit-enrollment-group', method: 'PUT', route: '/v1/enrollment-groups/:name/limit' },
  { name: 'long-enrollment-token', method: 'POST', route: '/v1/enrollment-tokens', applies: livesLong },
  { name: 'long-group-token', method: 'POST', route: '/v1/enrollment-groups/:name/tokens', applies: livesLong },
  { name: 'import-vendor-roots', method: 'POST', route: '/v1/vendor-roots' },
  { name: 'remove-vendor-root', method: 'DELETE', route: '/v1/vendor-roots/:kind/:sha256' },
  { name: 'apply-policy', method: 'PUT', route: '/v1/policy' },
  { name: 'change-post-quantum', method: 'PUT', route: '/v1/post-quantum' },
  { name: 'forget-hybrid-key', method: 'POST', route: '/v1/devices/:id/forget-hybrid-key' },
  { name: 'change-witness-policy', method: 'PUT', route: '/v1/witness-policy' },
  { name: 'assign-model', method: 'POST', route: '/v1/models/:name/groups', applies: addsGroups },
  { name: 'change-countries', method: 'PUT', route: '/v1/countries' },
  { name: 'create-group', method: 'POST', route: '/v1/groups', applies: isGroupOfPolicy },
  { name: 'delete-group', method: 'DELETE', route: '/v1/groups/:name', applies: isGroupOfPolicy },
  { name: 'change-members', method: 'POST', route: '/v1/groups/:name/members', applies: isGroupOfPolicy },
  { name: 'change-tags', method: 'POST', route: '/v1/devices/:id/tags', applies: looksAtTags },
  { name: 'change-desired', method: 'PUT', route: '/v1/devices/:id/desired', applies: filtersByDesired },
  { name: 'create-site', method: 'POST', route: '/v1/sites', applies: looksAtSites },
  { name: 'change-site', method: 'PUT', route: '/v1/sites/:name', applies: looksAtSites },
  { name: 'delete-site', method: 'DELETE', route: '/v1/sites/:name', applies: movesDevices },
  { name: 'move-devices', method: 'POST', route: '/v1/sites/:name/devices', applies: movesDevices },
  { name: 'roll-policy-back', method: 'POST', route: '/v1/policy/rollback' },
  { name: 'enable-enrollment-group', method: 'POST', route: '/v1/enrollment-groups/:name/enable' },
  { name: 'roll-platform-key', method: 'POST', route: '/v1/platform-key/roll' },
  { name: 'invite-node', method: 'POST', route: '/v1/nodes/invitations' },
  { name: 'remove-node', method: 'POST', route: '/v1/nodes/:name/remove' },
  { name: 'install-issuing', method: 'POST', route: '/v1/authorities/install' },
  { name: 'activate-issuing', method: 'POST', route: '/v1/authorities/issuing/:id/activate' },
  { name: 'revoke-issuing', method: 'POST', route: '/v1/authorities/issuing/:id/revoke' },
  { name: 'announce-root', method: 'POST', route: '/v1/authorities/roots' },
  { name: 'end-overlap', method: 'POST', route: '/v1/authorities/roots/:sha256/overlap' },
  { name: 'install-root-list', method: 'POST', route: '/v1/authorities/roots/:sha256/list' },
  { name: 'install-key-list', method: 'POST', route: '/v1/authorities/keys/list' },
  { name: 'activate-key', method: 'POST', route: '/v1/authorities/keys/:id/activate' },
  { name: 'add-person', method: 'POST', route: '/v1/people', bootstraps: true },
  { name: 'enable-person', method: 'POST', route: '/v1/people/:name/enable' },
  {
    name: 'grant-token',
    method: 'POST',
    route: '/v1/tokens',
    scope: 'admin',
    applies: grants,
    obstacle: tokenText,
    bootstraps: true,
  },
  { name: 'claim-hub', method: 'POST', route: '/v1/claim', bootstraps: true },
  { name: 'hand-over-token', method: 'POST', route: '/v1/tokens/:id/hand-over' },
  { name: 'hand-over-enrollment-token', method: 'POST', route: '/v1/enrollment-tokens/:id/hand-over' },
  { name: 'add-webhook', method: 'POST', route: '/v1/webhooks' },
  { name: 'remove-webhook', method: 'DELETE', route: '/v1/webhooks/:name' },
  { name: 'reset-cursor', method: 'POST', route: '/v1/event-cursors/:name/reset' },
  { name: 'revoke-many', method: 'POST', route: '/v1/certificates/revoke', applies: isBulk },
];

/** The same facts where a request cannot wait: each line of an import that has one is refused. */
export function decidingFacts(rules: PolicyRules) {
  return { groups: rules.groups, tags: looksAtTags({ rules }), sites: movesDevices({ rules }) };
}

export function rootOperationOf(method: string, route: string | undefined): RootOperation | undefined {
  return rootOperations.find((each) => each.method === method && each.route === route);
}

// Taking a model from a group only narrows.
function addsGroups({ body }: OperationRequest): boolean {
  return assignRequest.parse(body).add.length > 0;
}

const siteFacts = ['context.network', 'context.time', 'context.zone', 'context.claimedLocation', 'principal.site'];

function looksAtSites({ rules }: Pick<OperationRequest, 'rules'>): boolean {
  return siteFacts.some(rules.looksAt);
}

// The site of a device can be what makes it a member.
function movesDevices(asked: Pick<OperationRequest, 'rules'>): boolean {
  return looksAtSites(asked) || asked.rules.filterFields.has('site');
}

function filtersByDesired({ rules }: OperationRequest): boolean {
  return rules.filterFields.has('desired.PATH');
}

function looksAtTags({ rules }: Pick<OperationRequest, 'rules'>): boolean {
  return rules.filters || rules.looksAt('principal.tags');
}

function isGroupOfPolicy({ body, name, rules }: OperationRequest): boolean {
  const made = named.safeParse(body);
  return rules.groups.has(made.success ? made.data.name : name);
}

const named = z.looseObject({ name: z.string() });
const living = z.looseObject({ lifeSeconds: z.number() });

// The holder of such a token can enroll devices as long as its maker's own token lasts.
function livesLong({ body, limits }: OperationRequest): boolean {
  return living.parse(body).lifeSeconds > limits.enrollmentAloneDays * 86_400;
}

// A token for another person could be used as that person; a token with admin can do everything that needs the scope.
function grants({ body, caller }: OperationRequest): boolean {
  const order = tokenOrderOf(apiTokenRequest.parse(body));
  const owner = ownerOf(order, caller);
  return (owner !== undefined && owner !== caller.person) || covers(scopesOf(order.roles, order.scopes), 'admin');
}

// The approver would get the text of the token.
function tokenText(body: unknown): string | undefined {
  if (apiTokenRequest.parse(body).sha256 !== undefined) return undefined;
  return 'register such a token by its sha256, as `edgekeep token create` does: the approver must not see it';
}

function isBulk({ body, limits: { maxRevokedAlone } }: OperationRequest): boolean {
  const { devices = [], serials = [], sha256 = [] } = revocationRequest.parse(body);
  return devices.length + serials.length + sha256.length > maxRevokedAlone;
}
