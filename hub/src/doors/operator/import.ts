// Operator API: a whole fleet in one call.
import { Readable } from 'node:stream';
import { importReport } from '@edgekeep/wire/api/registry';
import type { StoreRouteDependencies } from './door.ts';
import { streamed } from '../http/body-watch.ts';
import type { HttpServer } from '../http/server.ts';
import { importDevices } from '../../registry/import.ts';
import type { TwoPeople } from './two-people.ts';

// About 600 bytes for each of the lines that one call may have.
const IMPORT_BYTES_MAX = 128 * 1024 * 1024;

type ImportRouteDependencies = StoreRouteDependencies & { readonly twoPeople: Pick<TwoPeople, 'decidingFacts'> };

export function importRoutes(app: HttpServer, dependencies: ImportRouteDependencies): void {
  const { database, clock, requireScope, twoPeople } = dependencies;
  app.register(async (scope) => {
    // Lines are read as they arrive, and only as fast as the store takes them.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('application/x-ndjson', (_request, payload, done) => done(null, payload));
    scope.post(
      '/v1/devices/import',
      {
        ...streamed(requireScope('enrollment:write')),
        bodyLimit: IMPORT_BYTES_MAX,
        schema: { takes: 'application/x-ndjson', response: { 200: importReport } },
      },
      async ({ body, actor }) => {
        const source: AsyncIterable<Uint8Array> = body instanceof Readable ? body : Readable.from([]);
        return importDevices(database, source, { actor, nowMs: clock(), deciding: () => twoPeople.decidingFacts() });
      },
    );
  });
}
