// The public log (C2SP tlog-tiles), on both listeners and without a token: checkpoint and hashes, which is enough to verify it. Only
// auditors read the content of entries.
import { parseTilePath, type TileAddress } from '@edgekeep/core/audit/tile';
import { exists } from '@edgekeep/host/missing-file';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { HubError } from '../../common/error.ts';
import { bytesAs } from '../openapi/answers.ts';
import type { HttpServer } from '../http/server.ts';

const anyPath = z.strictObject({ '*': z.string().min(1).max(200) });
const tile = { 200: bytesAs('application/octet-stream') };
const forEverybody = 'public, max-age=31536000, immutable';

/** Hooks of the routes that show entries. */
export interface EntriesGuard {
  readonly config: { readonly who: string };
  readonly onRequest: (request: FastifyRequest) => Promise<void>;
  readonly preHandler: (request: FastifyRequest) => Promise<void>;
}

/** `auditors` guards the entries; without it, on the device listener, the entries are not served. */
export function tileRoutes(app: HttpServer, logFolder: string, auditors?: EntriesGuard): void {
  // A reply is thenable: awaiting it before it is sent would wait forever.
  app.get('/log/checkpoint', { schema: { response: { 200: bytesAs('text/plain') } } }, async (_request, reply) => {
    void reply.type('text/plain; charset=utf-8').header('cache-control', 'no-cache');
    return reply.send(createReadStream(join(logFolder, 'checkpoint')));
  });

  app.get('/log/tile/*', { schema: { params: anyPath, response: tile } }, async ({ params }, reply) => {
    // Only a path in the canonical form of the specification reaches the file system.
    const path = `tile/${params['*']}`;
    const address = addressOf(path);
    if (address.level === 'entries') {
      const where =
        auditors === undefined ? 'GET /v1/audit has those of a device' : 'ask with a token of the scope audit:read';
      throw new HubError('scope-missing', `entries are for auditors and for the device that they are about: ${where}`);
    }
    return send(reply, path, forEverybody);
  });

  if (auditors !== undefined) {
    app.get(
      '/log/tile/entries/*',
      { ...auditors, schema: { params: anyPath, response: tile } },
      async ({ params }, reply) => {
        const path = `tile/entries/${params['*']}`;
        addressOf(path);
        return send(reply, path, 'private, max-age=31536000, immutable');
      },
    );
  }

  async function send(reply: FastifyReply, path: string, caching: string) {
    const file = join(logFolder, path);
    if (!(await exists(file))) throw new HubError('not-found', `no ${path} in this log`);
    void reply.type('application/octet-stream').header('cache-control', caching);
    return reply.send(createReadStream(file));
  }
}

function addressOf(path: string): TileAddress {
  try {
    return parseTilePath(path);
  } catch (cause) {
    throw new HubError('not-found', `${path} is not the path of a tile`, { cause });
  }
}
