// Operator API: the groups that need post-quantum protection, and whom that excludes.
import { postQuantumEffects, postQuantumRequest, postQuantumView } from '@edgekeep/wire/api/post-quantum';
import { assertGroups, postQuantumGroups, setPostQuantumGroups } from '../../access/post-quantum-groups.ts';
import { effectOf } from '../../access/post-quantum-effect.ts';
import type { Clock } from '../../common/clock.ts';
import type { HubSettings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { HttpServer } from '../http/server.ts';
import type { RequireScope } from './door.ts';

interface PostQuantumRouteDependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly settings: Pick<HubSettings, 'access'>;
  readonly requireScope: RequireScope;
}

export function postQuantumRoutes(app: HttpServer, dependencies: PostQuantumRouteDependencies): void {
  const { database, clock, settings, requireScope } = dependencies;
  const view = async () => {
    const { version, groups } = await postQuantumGroups(database.read);
    const ofSettings = settings.access.requirePostQuantum;
    const all = [...new Set([...groups, ...ofSettings])];
    const effects = await effectOf(database.read, all, clock());
    return { version, groups: [...groups], settings: [...ofSettings], effects };
  };

  app.get(
    '/v1/post-quantum',
    { ...requireScope('devices:read'), schema: { response: { 200: postQuantumView } } },
    view,
  );

  app.post(
    '/v1/post-quantum/simulate',
    {
      ...requireScope('devices:read'),
      bodyLimit: bodyBytes.order,
      schema: { body: postQuantumRequest, response: { 200: postQuantumEffects } },
    },
    async ({ body: { groups } }) => {
      const nowMs = clock();
      await assertGroups(database.read, groups, nowMs);
      return { effects: await effectOf(database.read, [...new Set(groups)], nowMs) };
    },
  );

  app.put(
    '/v1/post-quantum',
    {
      ...requireScope('policy:write'),
      bodyLimit: bodyBytes.order,
      schema: { body: postQuantumRequest, response: { 200: postQuantumView } },
    },
    async (request) => {
      const { groups } = request.body;
      await setPostQuantumGroups(database, { groups, actor: request.caller.actor, nowMs: clock() });
      return view();
    },
  );
}
