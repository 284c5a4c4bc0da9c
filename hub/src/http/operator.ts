// The operator listener: who asks (an API token with a scope), and nothing else; the routes live with their subjects.
import type { FastifyRequest } from 'fastify';
import { assertScope, authenticate, type Caller } from '../people/api-token.ts';
import type { AccessGate } from '../access/gate.ts';
import type { Scope } from '../people/roles.ts';
import { TokenUse } from '../people/token-use.ts';
import { approvedHeader, type ApprovedRequests } from '../people/approved-requests.ts';
import type { Clock } from '../clock.ts';
import type { Database } from '../store/database.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, as it stands in the audit log; with a second person where one approved. */
    actor: string;
    caller: Caller;
    /** What the route asks for. */
    scope: Scope | 'any';
    /** Whether a second person approved exactly this request. */
    approved: boolean;
  }
}

/**
 * Makes the hook that lets a request pass only with a token that has the scope, or with any valid token; it runs before the body is read or its
 * form is told.
 */
export type RequireScope = (scope: Scope | 'any') => {
  readonly config: { readonly who: string };
  readonly onRequest: (request: FastifyRequest) => Promise<void>;
};

/** What the routes of a subject get that only reads and writes the store. */
export interface StoreRouteParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly requireScope: RequireScope;
}

export function requireScopeWith(
  database: Database,
  clock: Clock,
  approvedRequests: ApprovedRequests,
  gate: Pick<AccessGate, 'administer'>,
): RequireScope {
  const use = new TokenUse(database);
  return (scope) => ({
    config: { who: scope === 'any' ? 'any token' : scope },
    onRequest: async (request) => {
      const nowMs = clock();
      const approved = approvedRequests.take(request.headers[approvedHeader]);
      const caller = approved?.caller ?? (await authenticate(database, request.headers.authorization, nowMs));
      if (approved === undefined) use.note(caller, request.ip, nowMs);
      if (scope !== 'any') assertScope(caller, scope);
      const changes = request.method !== 'GET' && request.method !== 'HEAD';
      // What two people agreed on passed here when it was asked for, and its approval did, with the same scope.
      if (approved === undefined) await gate.administer(caller, { address: request.ip, scope, changes, nowMs });
      request.scope = scope;
      request.caller = caller;
      request.actor = approved?.actor ?? caller.actor;
      request.approved = approved !== undefined;
    },
  });
}
