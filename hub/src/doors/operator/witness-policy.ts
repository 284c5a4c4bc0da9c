// Operator API: the witness policy in force, and the next one.
import { witnessPolicyRequest, witnessPolicyView } from '@edgekeep/wire/api/audit';
import { CoreError } from '@edgekeep/core/error';
import type { WitnessPolicies } from '../../audit/witness-policy.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import type { Database } from '../../store/database.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { HttpServer } from '../http/server.ts';
import type { RequireScope } from './door.ts';

interface WitnessPolicyRouteDependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly witnessPolicies: WitnessPolicies;
  readonly requireScope: RequireScope;
}

export function witnessPolicyRoutes(app: HttpServer, dependencies: WitnessPolicyRouteDependencies): void {
  const { database, clock, witnessPolicies, requireScope } = dependencies;
  const view = async () => {
    const { version, digest, quorum, tiers, whenUnmet, text } = witnessPolicies.current();
    const available = await witnessPolicies.available(database.read, '');
    return { version, digest, quorum, tiers: [...tiers], whenUnmet, text, available };
  };

  app.get(
    '/v1/witness-policy',
    { ...requireScope('devices:read'), schema: { response: { 200: witnessPolicyView } } },
    view,
  );

  app.put(
    '/v1/witness-policy',
    {
      ...requireScope('policy:write'),
      bodyLimit: bodyBytes.policy,
      schema: { body: witnessPolicyRequest, response: { 200: witnessPolicyView } },
    },
    async (request) => {
      try {
        await witnessPolicies.set(request.body, { actor: request.caller.actor, nowMs: clock() });
      } catch (error) {
        if (!(error instanceof CoreError)) throw error;
        throw new HubError('request-invalid', error.message, { cause: error });
      }
      return view();
    },
  );
}
