// Device API: the authorities and the key list, and the device's report that it knows the newest (spec/authorities.md, spec/key-list.md).
import * as api from '@edgekeep/wire/api/authority';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import type { DeviceDoor } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { Database } from '../../store/database.ts';
import type { Authorities } from '../../authority/authorities.ts';
import { type HubKeyRing, keyListText } from '../../authority/hub-key-ring.ts';
import { recordKnownKeyList } from '../../authority/known-key-lists.ts';
import { recordKnownRoot } from '../../authority/known-roots.ts';
import { publicView } from '../../authority/views.ts';

export function authorityDeviceRoutes(
  app: HttpServer,
  dependencies: {
    readonly database: Database;
    readonly authorities: Authorities;
    readonly keyRing: HubKeyRing;
    readonly clock: Clock;
    readonly door: DeviceDoor;
  },
): void {
  const { database, authorities, keyRing, clock, door } = dependencies;

  app.get(
    '/v1/authorities',
    { ...door.lets('anyone'), schema: { response: { 200: api.authoritiesResponse } } },
    async () => ({ ...publicView(authorities.state), keyList: keyListText(keyRing) }),
  );

  app.post(
    '/v1/authorities/known',
    {
      ...door.lets('bound'),
      bodyLimit: bodyBytes.order,
      schema: { body: api.knownRoot, response: { 200: api.knownRootResponse } },
    },
    async (request) => {
      const { deviceId } = door.bound(request);
      const root = authorities.state.roots.find(({ sha256 }) => sha256 === request.body.root);
      if (root === undefined)
        throw new HubError('not-found', 'this hub has no such root: is the device pinned to another hub?');
      const { version } = root;
      await recordKnownRoot(database, { deviceId, version, nowMs: clock() });
      const { keyList: number } = request.body;
      if (number !== undefined) await recordKnownKeyList(database, { deviceId, number, nowMs: clock() });
      return { version, generation: version };
    },
  );
}
