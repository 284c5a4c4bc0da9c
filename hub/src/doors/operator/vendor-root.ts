// Operator API: certificates of hardware makers (spec/vendor-roots.md). To add or remove one is to decide whom the hub trusts, as with
// publishers: it needs `admin`.
import { parseBase64, toBase64 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { type Certificate, parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import type { CertificateIndex } from '@edgekeep/core/identity/certificate-index';
import * as api from '@edgekeep/wire/api/vendor-root';
import { HubError, type Reason } from '../../common/error.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { StoreRouteDependencies } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { HubSettings } from '../../settings.ts';
import { importVendorRoots, listVendorRoots, removeVendorRoot, viewOf } from '../../vendor-root/store.ts';
import type { VendorRoots } from '../../vendor-root/vendor-roots.ts';

export interface VendorRootRouteDependencies extends StoreRouteDependencies {
  readonly vendorRoots: VendorRoots;
  readonly settings: Pick<HubSettings, 'vendorRoots'>;
}

export function vendorRootRoutes(app: HttpServer, dependencies: VendorRootRouteDependencies): void {
  addReading(app, dependencies);
  addOrders(app, dependencies);
}

function addReading(app: HttpServer, dependencies: VendorRootRouteDependencies): void {
  const { database, clock, requireScope, vendorRoots, settings } = dependencies;
  const read = requireScope('devices:read');

  app.get(
    '/v1/vendor-roots',
    { ...read, schema: { querystring: api.vendorRootQuery, response: { 200: api.vendorRootList } } },
    async ({ query }) => {
      const { roots, next } = await listVendorRoots(database.read, query);
      return { roots: [...roots], next };
    },
  );

  app.get('/v1/vendor-roots/summary', { ...read, schema: { response: { 200: api.vendorRootSummary } } }, async () => ({
    kinds: vendorRoots.counts(clock()).map(({ nextEndMs, ...count }) => ({ ...count, nextEnd: nextEndMs ?? null })),
  }));

  app.get(
    '/v1/vendor-roots/trust',
    { ...read, schema: { querystring: api.vendorRootTrustQuery, response: { 200: api.vendorRootTrust } } },
    async ({ query: { kind } }) => {
      const { anchors, intermediates } = vendorRoots.trust(kind);
      const encoded = ({ certificates }: CertificateIndex) => certificates.map(({ der }) => toBase64(der));
      const judgedAt = settings.vendorRoots.endorsementJudgedAt;
      return { kind, judgedAt, anchors: encoded(anchors), intermediates: encoded(intermediates) };
    },
  );
}

function addOrders(app: HttpServer, dependencies: VendorRootRouteDependencies): void {
  const { database, clock, requireScope, vendorRoots } = dependencies;
  const trust = requireScope('admin');

  app.post(
    '/v1/vendor-roots',
    {
      ...trust,
      bodyLimit: bodyBytes.vendorRoots,
      schema: { body: api.vendorRootRequest, response: { 200: api.vendorRootImported } },
    },
    async ({ body: { kind, certificates, anchor, source }, actor }) => {
      const order = { kind, anchor, source, actor, nowMs: clock() };
      const imported = await importVendorRoots(database, { ...order, certificates: parseAll(certificates) });
      await vendorRoots.reload();
      return {
        added: imported.filter(({ change }) => change !== 'present').length,
        certificates: imported.map(({ row, change }) => ({ ...viewOf(row, 0), change })),
      };
    },
  );

  app.delete(
    '/v1/vendor-roots/:kind/:sha256',
    {
      ...trust,
      bodyLimit: bodyBytes.none,
      schema: {
        params: api.vendorRootPath,
        querystring: api.vendorRootRemoval,
        response: { 200: api.vendorRootRemoved },
      },
    },
    async ({ params: { kind, sha256 }, query: { force, reason }, actor }) => {
      const order = { kind, sha256, force: force === 'true', reason, actor, nowMs: clock() };
      const usedBy = await removeVendorRoot(database, order);
      await vendorRoots.reload();
      return { kind, sha256, usedBy };
    },
  );
}

function parseAll(texts: readonly string[]): readonly Certificate[] {
  const reasons: Reason[] = [];
  const parsed = texts.flatMap((text, at) => {
    try {
      return [parseForeignCertificate(parseBase64(text, 'certificate'))];
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      reasons.push({ code: 'unreadable', message: `certificate ${at + 1}: ${error.message}` });
      return [];
    }
  });
  if (reasons.length === 0) return parsed;
  const message = `${reasons.length} of ${texts.length} certificates cannot be read`;
  throw new HubError('vendor-root-refused', message, { reasons: reasons.slice(0, 16) });
}
