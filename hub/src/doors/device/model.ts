// Device API: the models to run, and the sealed files by range request. The files are ciphertext and signed end to end, so the transport
// only needs to be fast.
import { toBase64url } from '@edgekeep/core/bytes';
import { withoutSecondSignature } from '@edgekeep/core/model/signature/bundle';
import type { Resource } from '@edgekeep/core/policy/question';
import {
  modelResponse,
  modelNameSchema,
  modelSignaturesHeader,
  twoModelSignatures,
  versionSchema,
} from '@edgekeep/wire/api/model-release';
import { z } from 'zod';
import type { AccessGate } from '../../access/gate.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import { bytesAs } from '../openapi/answers.ts';
import type { BoundDevice } from '../../presence/connections.ts';
import type { DeviceDoor } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { Database } from '../../store/database.ts';
import type { ModelReleaseRow } from '../../store/tables/model.ts';
import type { ArtifactStore } from '../../artifact/artifact-store.ts';
import { forDevices } from '../../artifact/for-devices.ts';
import { findPublishedRelease } from '../../model/releases.ts';

const sealed = bytesAs('application/octet-stream');
const file = z.strictObject({ name: modelNameSchema, version: versionSchema, '*': z.string().min(1).max(1_024) });

interface ModelDeviceRouteDependencies {
  database: Database;
  artifacts: ArtifactStore;
  clock: Clock;
  door: DeviceDoor;
  gate: AccessGate;
}

export function modelDeviceRoutes(app: HttpServer, dependencies: ModelDeviceRouteDependencies): void {
  addModel(app, dependencies);
  addFiles(app, dependencies);
}

function addModel(app: HttpServer, dependencies: ModelDeviceRouteDependencies): void {
  const { database, door } = dependencies;

  app.get(
    '/v1/models/:name',
    {
      ...door.lets('bound'),
      schema: { params: z.strictObject({ name: modelNameSchema }), response: { 200: modelResponse } },
    },
    async (request) => {
      const device = door.bound(request);
      const { row, files } = await findPublishedRelease(database, request.params.name);
      await mayFetch(dependencies, device, row);
      return {
        name: row.name,
        version: row.version,
        manifestDigest: row.manifest_digest,
        manifest: toBase64url(row.manifest),
        // An agent of the version before refuses a bundle with two signatures, and knows no key for the second.
        signature:
          request.headers[modelSignaturesHeader] === twoModelSignatures
            ? row.signature
            : withoutSecondSignature(row.signature),
        files: files.map((each) => ({
          path: each.path,
          sealedSize: each.sealed_size,
          sealedSha256: each.sealed_sha256,
        })),
      };
    },
  );
}

function addFiles(app: HttpServer, dependencies: ModelDeviceRouteDependencies): void {
  const { database, artifacts, door } = dependencies;

  app.get(
    '/v1/models/:name/:version/files/*',
    { ...door.lets('bound'), schema: { params: file, response: { 200: sealed, 206: sealed } } },
    async (request, reply) => {
      const device = door.bound(request);
      const { name, version, '*': path } = request.params;
      const { row, files } = await findPublishedRelease(database, name, version);
      await mayFetch(dependencies, device, row);
      const found = files.find((each) => each.path === path);
      if (found === undefined)
        throw new HubError('not-found', `${name} ${version} has no file ${JSON.stringify(path)}`);
      const size = found.sealed_size;
      const range = parseRange(request.headers.range, size);
      const bytes = await artifacts
        .open(found.sealed_sha256, range?.start ?? 0, range?.end ?? size - 1)
        .catch((error: unknown) => {
          throw forDevices(error);
        });
      await reply
        .code(range === undefined ? 200 : 206)
        .header('accept-ranges', 'bytes')
        .header('etag', `"${found.sealed_sha256}"`)
        .header('content-type', 'application/octet-stream')
        .header('content-length', range === undefined ? size : range.end - range.start + 1)
        .headers(range === undefined ? {} : { 'content-range': `bytes ${range.start}-${range.end}/${size}` })
        .send(bytes);
      return reply;
    },
  );
}

async function mayFetch(
  dependencies: ModelDeviceRouteDependencies,
  { connection, deviceId }: BoundDevice,
  row: ModelReleaseRow,
): Promise<void> {
  const { clock, gate } = dependencies;
  const { name, version, publisher } = row;
  // The gate fills in the groups, where the policy looks at them.
  const resource: Resource = { kind: 'model', name, version, publisher, groups: [] };
  await gate.admit({ action: 'fetch', deviceId, resource, connection, nowMs: clock() });
}

/** One byte range (RFC 9110 section 14.1.2), both ends inclusive; undefined when the request asks for none. */
function parseRange(
  header: string | undefined,
  size: number,
): { readonly start: number; readonly end: number } | undefined {
  if (header === undefined) return undefined;
  const match = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(header);
  const start = Number(match?.[1] ?? Number.NaN);
  const end = Math.min(match?.[2] === '' ? size - 1 : Number(match?.[2] ?? Number.NaN), size - 1);
  if (!(start <= end)) throw new HubError('range-invalid', `one range bytes=START-END within ${size} bytes is served`);
  return { start, end };
}
