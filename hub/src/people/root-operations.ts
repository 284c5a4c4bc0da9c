// The operations that one person alone cannot carry out (spec/operator-access.md, "Two people"): whoever does one of these decides whom the
// hub believes from then on. The one list of them.
import { enrolmentGroupOrder } from '@edgekeep/wire/enrolment-group-api';
import { assignOrder } from '@edgekeep/wire/model-api';
import { apiTokenOrder, revocationOrder } from '@edgekeep/wire/operator-api';
import type { Caller } from './api-token.ts';
import { covers, type Scope, scopesOf } from './roles.ts';
import { ownerOf, tokenOrderOf } from './token-store.ts';

export interface RootOperation {
  readonly name: string;
  readonly method: 'POST' | 'PUT' | 'DELETE';
  /** As the route is declared. */
  readonly route: string;
  /** What both people need; where it is left out, the scope of the route. */
  readonly scope?: Scope;
  /** Which requests of the route are meant; all of them where it is left out. `body` has passed the route's schema. */
  readonly applies?: (body: unknown, caller: Caller, limits: RootLimits) => boolean;
  /** What has to be different before the request can be kept: what is carried out is answered to whoever approves. */
  readonly obstacle?: (body: unknown) => string | undefined;
  /** How the second person comes to be: one may do it alone while there is no second. */
  readonly bootstraps?: true;
}

export interface RootLimits {
  /** So many devices or certificates one person may revoke in one order. */
  readonly revokedAloneMost: number;
}

export const rootOperations: readonly RootOperation[] = [
  { name: 'trust-publisher', method: 'POST', route: '/v1/publishers' },
  { name: 'trust-authority', method: 'POST', route: '/v1/enrolment-groups', applies: namesAuthority },
  { name: 'import-vendor-roots', method: 'POST', route: '/v1/vendor-roots' },
  { name: 'remove-vendor-root', method: 'DELETE', route: '/v1/vendor-roots/:kind/:sha256' },
  { name: 'apply-policy', method: 'PUT', route: '/v1/policy' },
  { name: 'assign-model', method: 'POST', route: '/v1/models/:name/groups', applies: addsGroups },
  { name: 'roll-policy-back', method: 'POST', route: '/v1/policy/rollback' },
  { name: 'enable-enrolment-group', method: 'POST', route: '/v1/enrolment-groups/:name/enable' },
  { name: 'roll-platform-key', method: 'POST', route: '/v1/platform-key/roll' },
  { name: 'install-issuing', method: 'POST', route: '/v1/authorities/install' },
  { name: 'activate-issuing', method: 'POST', route: '/v1/authorities/issuing/:id/activate' },
  { name: 'revoke-issuing', method: 'POST', route: '/v1/authorities/issuing/:id/revoke' },
  { name: 'announce-root', method: 'POST', route: '/v1/authorities/roots' },
  { name: 'end-overlap', method: 'POST', route: '/v1/authorities/roots/:sha256/overlap' },
  { name: 'install-root-list', method: 'POST', route: '/v1/authorities/roots/:sha256/list' },
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
  { name: 'revoke-many', method: 'POST', route: '/v1/certificates/revoke', applies: isBulk },
];

export function rootOperationOf(method: string, route: string | undefined): RootOperation | undefined {
  return rootOperations.find((each) => each.method === method && each.route === route);
}

// Taking a model from a group only narrows.
function addsGroups(body: unknown): boolean {
  return assignOrder.parse(body).add.length > 0;
}

// What a group of another kind needs, one person can give without it.
function namesAuthority(body: unknown): boolean {
  const { kind } = enrolmentGroupOrder.parse(body);
  return kind === 'ca' || kind === 'endorsement-root';
}

// A token of somebody else could be used as that somebody; a token with admin can do whatever needs the scope.
function grants(body: unknown, caller: Caller): boolean {
  const order = tokenOrderOf(apiTokenOrder.parse(body));
  const owner = ownerOf(order, caller);
  return (owner !== undefined && owner !== caller.person) || covers(scopesOf(order.roles, order.scopes), 'admin');
}

// The text of a token would be in the wrong hands.
function tokenText(body: unknown): string | undefined {
  if (apiTokenOrder.parse(body).sha256 !== undefined) return undefined;
  return 'register such a token by its sha256, as `edgekeep token create` does: it must not be shown to who approves it';
}

function isBulk(body: unknown, _caller: Caller, { revokedAloneMost }: RootLimits): boolean {
  const { devices = [], serials = [], sha256 = [] } = revocationOrder.parse(body);
  return devices.length + serials.length + sha256.length > revokedAloneMost;
}
