// The operator listener: authenticates the caller (an API token with a scope), and nothing else. The routes are with their subjects.
import type { FastifyRequest } from 'fastify';
import { assertScope, type Caller } from '../../people/api-token.ts';
import { tokenPayer } from '../../people/token-payer.ts';
import { tokenAuthority } from '../../people/token-authority.ts';
import { type Admission, pay } from '../http/admission.ts';
import { KnownTokens } from './known-tokens.ts';
import type { AccessGate } from '../../access/gate.ts';
import type { Scope } from '../../people/roles.ts';
import { TokenUse } from '../../people/token-use.ts';
import { approvedHeader, type ApprovedRequest, type ApprovedRequests } from '../../people/approved-requests.ts';
import type { Clock } from '../../common/clock.ts';
import { actingNow, establish } from '../../store/authority.ts';
import type { Database } from '../../store/database.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller's name in the audit log; with the second person where one approved. */
    actor: string;
    caller: Caller;
    /** The scope that the route needs. */
    scope: Scope | 'any';
    /** Whether a second person approved exactly this request. */
    approved: boolean;
  }
}

/**
 * Makes the hooks that let a request pass only with a token that has the scope, or with any valid token: before the body is read and before
 * the caller learns its form, and again when the body has arrived. The handler's writes check it once more in their own transaction
 * (store/authority.ts).
 */
export type RequireScope = (scope: Scope | 'any') => {
  readonly config: { readonly who: string };
  readonly onRequest: (request: FastifyRequest) => Promise<void>;
  readonly preHandler: (request: FastifyRequest) => Promise<void>;
};

/** What the routes of a subject get that only read and write the store. */
export interface StoreRouteDependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly requireScope: RequireScope;
}

type Person = ApprovedRequest['people'][number];

interface Askers {
  readonly people: readonly [Person, ...Person[]];
  readonly needs: Scope | 'any';
}

// Both tokens were valid when the approval was spent; now each is checked again.
function both({ people, scope }: ApprovedRequest): Askers {
  const [requester, ...others] = people;
  if (requester === undefined) throw new TypeError('an approved request of nobody');
  return { people: [requester, ...others], needs: scope };
}

export function requireScopeWith(
  database: Database,
  clock: Clock,
  approvedRequests: ApprovedRequests,
  gate: Pick<AccessGate, 'administer'>,
  admission: Admission,
): RequireScope {
  const use = new TokenUse(database);
  const knownTokens = new KnownTokens(database);
  const one = async (request: FastifyRequest, scope: Scope | 'any'): Promise<Askers> => {
    const nowMs = clock();
    const caller = await knownTokens.authenticate(request, nowMs);
    request.payer = { class: admission.tokens, key: await tokenPayer(database.read, caller) };
    await pay(request);
    use.note(caller, request.ip, nowMs);
    return { people: [{ caller, address: request.ip }], needs: scope };
  };
  return (scope) => ({
    config: { who: scope === 'any' ? 'any token' : scope },
    onRequest: async (request) => {
      const approved = approvedRequests.take(request.headers[approvedHeader]);
      const { people, needs } = approved === undefined ? await one(request, scope) : both(approved);
      const nowMs = clock();
      const changes = request.method !== 'GET' && request.method !== 'HEAD';
      for (const { caller, address } of people) {
        if (needs !== 'any') assertScope(caller, needs);
        establish(tokenAuthority(caller, needs, clock));
        await gate.administer(caller, { address, scope: needs, changes, nowMs });
      }
      const [{ caller }] = people;
      request.scope = scope;
      request.caller = caller;
      request.actor = approved?.actor ?? caller.actor;
      request.approved = approved !== undefined;
    },
    // A body may have taken long to arrive. This protects what a handler does besides its writes.
    preHandler: async () => actingNow()?.recheck(database.read),
  });
}
