// Operator API: the roll-over of the platform key.
import { platformKeyRollResponse, platformKeyView } from '@edgekeep/wire/api/platform-key';
import { bodyBytes } from '../http/body-limits.ts';
import type { RequireScope } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { PlatformKeyRoll } from '../../jobs/platform-key-roll-over.ts';

export function platformKeyRoutes(app: HttpServer, roll: PlatformKeyRoll, requireScope: RequireScope): void {
  app.get(
    '/v1/platform-key',
    { ...requireScope('admin'), schema: { response: { 200: platformKeyView } } },
    async () => {
      const { version, ...progress } = await roll.status();
      return { ...numbered(version), ...progress };
    },
  );

  app.post(
    '/v1/platform-key/roll',
    { ...requireScope('admin'), bodyLimit: bodyBytes.none, schema: { response: { 200: platformKeyRollResponse } } },
    async ({ actor }) => numbered(await roll.start(actor)),
  );
}

// Programs of the version before know `version` as `generation`.
const numbered = (version: number) => ({ version, generation: version });
