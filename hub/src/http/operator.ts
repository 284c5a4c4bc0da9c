// The operator listener: who asks (an API token with a scope), and nothing else; the routes live with their subjects.
import type { FastifyRequest } from 'fastify';
import { authorize, type Scope } from '../access/api-token.ts';
import type { Clock } from '../clock.ts';
import type { Database } from '../store/database.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, as it stands in the audit log: `operator:` and the name of the API token. */
    actor: string;
  }
}

/** Makes the hook that lets a request pass only with a token that has the scope; it runs before the body is read or its form is told. */
export type RequireScope = (scope: Scope) => { readonly onRequest: (request: FastifyRequest) => Promise<void> };

export function requireScopeWith(database: Database, clock: Clock): RequireScope {
  return (scope) => ({
    onRequest: async (request) => {
      const token = await authorize(database, request.headers.authorization, scope, clock());
      request.actor = `operator:${token.name}`;
    },
  });
}
