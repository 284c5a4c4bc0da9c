// The log for everybody (C2SP tlog-tiles), on both listeners and without a token: checkpoint, tiles, entry bundles.
import { orIfMissing } from '@edgekeep/core/missing-file';
import { parseTilePath } from '@edgekeep/core/audit/tile';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HubError } from '../error.ts';
import type { HttpServer } from '../http/server.ts';

const anyPath = z.strictObject({ '*': z.string().min(1).max(200) });

export function tileRoutes(app: HttpServer, logFolder: string): void {
  // A reply is thenable: awaiting one before it is sent would wait for ever.
  app.get('/log/checkpoint', async (_request, reply) => {
    void reply.type('text/plain; charset=utf-8').header('cache-control', 'no-cache');
    return reply.send(createReadStream(join(logFolder, 'checkpoint')));
  });

  app.get('/log/tile/*', { schema: { params: anyPath } }, async ({ params }, reply) => {
    // Only a path in the canonical form of the specification reaches the file system.
    const path = `tile/${params['*']}`;
    const file = join(logFolder, canonicalTilePath(path));
    if ((await orIfMissing(stat(file), undefined)) === undefined)
      throw new HubError('not-found', `no ${path} in this log`);
    void reply.type('application/octet-stream').header('cache-control', 'public, max-age=31536000, immutable');
    return reply.send(createReadStream(file));
  });
}

function canonicalTilePath(path: string): string {
  try {
    parseTilePath(path);
    return path;
  } catch (cause) {
    throw new HubError('not-found', `${path} is no path of a tile`, { cause });
  }
}
