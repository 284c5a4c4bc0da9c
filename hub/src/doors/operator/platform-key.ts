// Operator API: the roll-over of the platform key.
import { platformKeyRollAnswer, platformKeyView } from '@edgekeep/wire/api/operator';
import { bodyBytes } from '../http/body-limits.ts';
import type { RequireScope } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { PlatformKeyRoll } from '../../jobs/platform-key-roll-over.ts';

export function platformKeyRoutes(app: HttpServer, roll: PlatformKeyRoll, requireScope: RequireScope): void {
  app.get('/v1/platform-key', { ...requireScope('admin'), schema: { response: { 200: platformKeyView } } }, async () =>
    roll.status(),
  );

  app.post(
    '/v1/platform-key/roll',
    { ...requireScope('admin'), bodyLimit: bodyBytes.none, schema: { response: { 200: platformKeyRollAnswer } } },
    async ({ actor }) => ({ generation: await roll.start(actor) }),
  );
}
