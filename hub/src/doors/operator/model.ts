// Operator API: publishers and model releases.
import { parseBase64url } from '@edgekeep/core/bytes';
import { compareVersions } from '@edgekeep/core/model/version-order';
import { assignedGroups, assignRequest, modelDevices, modelDevicesQuery } from '@edgekeep/wire/api/model';
import {
  modelList,
  modelNameSchema,
  modelRequest,
  publicationResponse,
  type ModelView,
  uploadedFile,
  uploadState,
  versionSchema,
  withdrawResponse,
} from '@edgekeep/wire/api/model-release';
import { publisherEndRequest, publisherList, publisherRequest, publisherResponse } from '@edgekeep/wire/api/publisher';
import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { HubError } from '../../common/error.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import type { RequireScope } from './door.ts';
import { streamed } from '../http/body-watch.ts';
import type { HttpServer } from '../http/server.ts';
import type { Database } from '../../store/database.ts';
import type { PlatformKey } from '../../secrets/platform-key.ts';
import type { ArtifactStore, UploadStart } from '../../artifact/artifact-store.ts';
import { deviceModelViewOf } from '../../model/device-model-view.ts';
import { devicesOfModel } from '../../model/devices-of-model.ts';
import { assignModel, groupsOfModel } from '../../model/groups-of-model.ts';
import { weighEndedPublishers } from '../../model/ended-publishers.ts';
import { releasePolicyOf } from '../../model/release-policy.ts';
import { unmetGroups } from '../../access/publisher-fleet.ts';
import { endPublisher } from '../../publisher/end.ts';
import { listPublishers, trustPublisher } from '../../publisher/publishers.ts';
import {
  addReleaseFile,
  uploadName,
  createRelease,
  findPublishedRow,
  highestServed,
  listReleases,
  publishRelease,
  type Release,
  withdrawRelease,
} from '../../model/releases.ts';

const named = z.strictObject({ name: modelNameSchema });
const byFingerprint = z.strictObject({
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits in lower case'),
});
const release = z.strictObject({ name: modelNameSchema, version: versionSchema });
const releaseFile = release.extend({ '*': z.string().min(1).max(1_024) });
const releasesShown = 500;
// The manifest limits the size of an upload, file by file; this limit only has to be larger than any of them.
const UPLOAD_BYTES_MAX = Number.MAX_SAFE_INTEGER;

interface ModelOperatorRouteDependencies {
  database: Database;
  artifacts: ArtifactStore;
  platformKey: PlatformKey;
  clock: Clock;
  requireScope: RequireScope;
}

export function modelOperatorRoutes(app: HttpServer, dependencies: ModelOperatorRouteDependencies): void {
  addPublishers(app, dependencies);
  addModels(app, dependencies);
  addUploads(app, dependencies);
  addReleases(app, dependencies);
}

function addPublishers(app: HttpServer, dependencies: ModelOperatorRouteDependencies): void {
  const { database, clock, requireScope } = dependencies;

  app.get(
    '/v1/publishers',
    {
      ...requireScope('models:read'),
      schema: { response: { 200: publisherList } },
    },
    async () => ({
      publishers: (await listPublishers(database)).map(({ fingerprint, name, endsAtMs }) => ({
        fingerprint,
        name,
        endsAt: endsAtMs ?? null,
      })),
    }),
  );

  app.post(
    '/v1/publishers',
    {
      ...requireScope('admin'),
      bodyLimit: bodyBytes.order,
      schema: { body: publisherRequest, response: { 200: publisherResponse } },
    },
    async ({ body, actor }) => {
      const { fingerprint, name } = await trustPublisher(database, { ...body, actor, nowMs: clock() });
      return { fingerprint, name, endsAt: null };
    },
  );

  app.post(
    '/v1/publishers/:sha256/end',
    {
      ...requireScope('admin'),
      bodyLimit: bodyBytes.order,
      schema: { params: byFingerprint, body: publisherEndRequest, response: { 200: publisherResponse } },
    },
    async ({ params: { sha256: fingerprint }, body: { endsAt: endsAtMs, note }, actor }) => {
      const nowMs = clock();
      const endsAt = await endPublisher(database, { fingerprint, endsAtMs, note, actor, nowMs });
      await weighEndedPublishers(database, nowMs);
      const name = (await listPublishers(database)).find((each) => each.fingerprint === fingerprint)?.name ?? '';
      return { fingerprint, name, endsAt };
    },
  );
}

function addModels(app: HttpServer, dependencies: ModelOperatorRouteDependencies): void {
  const { database, clock, requireScope } = dependencies;

  const assignedView = async (model: string, groups: readonly string[]) => ({
    model,
    groups: [...groups],
    unmet: [...(await unmetGroups(database.read, model, groups, clock()))],
  });

  app.get('/v1/models', { ...requireScope('models:read'), schema: { response: { 200: modelList } } }, async () => ({
    models: (await listReleases(database, releasesShown)).map(viewOf),
  }));

  app.get(
    '/v1/models/:name/groups',
    { ...requireScope('models:read'), schema: { params: named, response: { 200: assignedGroups } } },
    async ({ params: { name } }) => assignedView(name, await groupsOfModel(database.read, name)),
  );

  // This decides who gets keys, as a policy does.
  app.post(
    '/v1/models/:name/groups',
    {
      ...requireScope('policy:write'),
      bodyLimit: bodyBytes.names,
      schema: { params: named, body: assignRequest, response: { 200: assignedGroups } },
    },
    async ({ params: { name }, body, actor }) => {
      const groups = await assignModel(database, { model: name, ...body, actor, nowMs: clock() });
      return assignedView(name, groups);
    },
  );

  app.get(
    '/v1/models/:name/devices',
    {
      ...requireScope('devices:read'),
      schema: { params: named, querystring: modelDevicesQuery, response: { 200: modelDevices } },
    },
    async ({ params, query }) => {
      const { limit } = query;
      const rows = await devicesOfModel(database.read, { ...query, model: params.name, version: query.version });
      const devices = rows.map((row) => ({ deviceId: row.device_id, ...deviceModelViewOf(row) }));
      return { devices, next: rows.length === limit ? (rows.at(-1)?.device_id ?? null) : null };
    },
  );
}

function addUploads(app: HttpServer, dependencies: ModelOperatorRouteDependencies): void {
  const { database, artifacts, platformKey, clock, requireScope } = dependencies;

  app.post(
    '/v1/models',
    {
      ...requireScope('models:publish'),
      bodyLimit: bodyBytes.release,
      schema: { body: modelRequest, response: { 200: publicationResponse } },
    },
    async ({ body, actor }) => {
      const modelKey = parseBase64url(body.modelKey, 'modelKey');
      try {
        const manifest = parseBase64url(body.manifest, 'manifest');
        const order = { manifest, signature: body.signature, modelKey, actor, nowMs: clock() };
        const begun = viewOf(await createRelease(database, platformKey, order));
        return { ...begun, advice: await rollbackAdvice(database, begun) };
      } finally {
        modelKey.fill(0);
      }
    },
  );

  app.get(
    '/v1/models/:name/:version/uploads/*',
    { ...requireScope('models:publish'), schema: { params: releaseFile, response: { 200: uploadState } } },
    async ({ params: { '*': path, ...params } }) => ({
      offset: await artifacts.offsetOf(uploadName({ ...params, path })),
    }),
  );

  app.register(async (scope) => {
    // Sealed files are streamed to disk, never parsed or held in memory.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
    scope.put(
      '/v1/models/:name/:version/files/*',
      {
        ...streamed(requireScope('models:publish')),
        bodyLimit: UPLOAD_BYTES_MAX,
        schema: { params: releaseFile, takes: 'application/octet-stream', response: { 200: uploadedFile } },
      },
      async (request) => {
        const params = releaseFile.parse(request.params);
        const source = request.body instanceof Readable ? request.body : Readable.from([]);
        const stored = await addReleaseFile(database, artifacts, {
          ...params,
          path: params['*'],
          source,
          beginning: beginningOf(request.headers),
        });
        return { path: stored.path, sealedSize: stored.sealed_size, sealedSha256: stored.sealed_sha256 };
      },
    );
  });
}

function addReleases(app: HttpServer, dependencies: ModelOperatorRouteDependencies): void {
  const { database, clock, requireScope } = dependencies;

  app.post(
    '/v1/models/:name/:version/publish',
    {
      ...requireScope('models:publish'),
      bodyLimit: bodyBytes.none,
      schema: { params: release, response: { 200: publicationResponse } },
    },
    async ({ params, actor }) => {
      const published = viewOf(await publishRelease(database, { ...params, actor, nowMs: clock() }));
      return { ...published, advice: await rollbackAdvice(database, params) };
    },
  );

  app.post(
    '/v1/models/:name/:version/withdraw',
    {
      ...requireScope('models:publish'),
      bodyLimit: bodyBytes.none,
      schema: { params: release, response: { 200: withdrawResponse } },
    },
    async ({ params, actor }) => {
      const withdrawn = viewOf(await withdrawRelease(database, { ...params, actor, nowMs: clock() }));
      return { ...withdrawn, ...(await afterWithdrawal(database, params)) };
    },
  );
}

const beginning = z.object({
  'upload-offset': z.string().regex(/^[1-9]\d{0,15}$/),
  'upload-sha256': z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits in lower case'),
});

// The offset where an upload continues; undefined where it begins.
function beginningOf(headers: IncomingHttpHeaders): UploadStart | undefined {
  if (headers['upload-offset'] === undefined && headers['upload-sha256'] === undefined) return undefined;
  const parsed = beginning.safeParse(headers);
  if (!parsed.success)
    throw new HubError(
      'request-invalid',
      'Upload-Offset is a number above 0 and Upload-SHA256 64 hex digits: both, or none',
    );
  return { offset: Number(parsed.data['upload-offset']), sha256: parsed.data['upload-sha256'] };
}

// Devices keep the highest version that they served; nothing on this hub makes them serve a lower one.
async function afterWithdrawal(
  database: Database,
  { name, version }: { readonly name: string; readonly version: string },
): Promise<Pick<z.infer<typeof withdrawResponse>, 'current' | 'advice'>> {
  const current = (await findPublishedRow(database, name).catch(undefinedWhereNotFound))?.version ?? null;
  const highest = (await highestServed(database, name)) ?? version;
  if (current === highest) return { current, advice: null };
  const offered = current === null ? `no version of ${name} is offered now` : `${current} is offered to all others`;
  const advice = `devices that served ${highest} refuse what is lower: publish a version higher than ${highest}; ${offered}`;
  return { current, advice };
}

async function rollbackAdvice(
  database: Database,
  { name, version }: { readonly name: string; readonly version: string },
): Promise<string | null> {
  const highest = await highestServed(database, name);
  if (highest === undefined || compareVersions(version, highest) >= 0) return null;
  return `${name} ${highest} was published before: devices that served it refuse ${version} as a roll-back. Publish a version higher than ${highest}`;
}

function undefinedWhereNotFound(error: unknown): undefined {
  if (error instanceof HubError && error.code === 'not-found') return undefined;
  throw error;
}

function viewOf({ row, files }: Release): ModelView {
  return {
    name: row.name,
    version: row.version,
    state: row.state,
    manifestDigest: row.manifest_digest,
    publisher: row.publisher,
    createdAt: row.created_at,
    publishedAt: row.published_at,
    releasePolicy: releasePolicyOf(row) ?? null,
    files: files.map((file) => ({ path: file.path, sealedSize: file.sealed_size, sealedSha256: file.sealed_sha256 })),
  };
}
