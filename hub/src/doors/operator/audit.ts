// Operator API: the audit log's entries, their proofs, and the public keys to verify them with.
import { encodeTlogProof } from '@edgekeep/core/audit/proof';
import { toBase64url } from '@edgekeep/core/bytes';
import { receiptResponse, releaseList } from '@edgekeep/wire/api/access';
import { auditList, auditProof, longReceiptText, trustFileText } from '@edgekeep/wire/api/audit';
import { z } from 'zod';
import type { Receipts } from '../../access/receipts.ts';
import type { EvidenceKeeper } from '../../attest/kept-evidence.ts';
import { HubError } from '../../common/error.ts';
import { jsonTextOf, noBody } from '../openapi/answers.ts';
import type { RequireScope } from './door.ts';
import { sendDocument } from '../http/document.ts';
import type { HttpServer } from '../http/server.ts';
import type { Database } from '../../store/database.ts';
import type { AuditLog } from '../../audit/log.ts';
import { auditPage, leasePage } from './audit-page.ts';
import { sendPage, SHORT_MAX } from './pages.ts';
import type { TrustFile } from './trust.ts';

const page = z.strictObject({
  from: z.coerce.number().int().min(0).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(50),
});

interface AuditOperatorRouteDependencies {
  database: Database;
  log: AuditLog;
  receipts: Receipts;
  evidenceKeeper: EvidenceKeeper;
  trust: TrustFile;
  requireScope: RequireScope;
}

export function auditOperatorRoutes(app: HttpServer, dependencies: AuditOperatorRouteDependencies): void {
  addLog(app, dependencies);
  addLeases(app, dependencies);
}

function addLog(app: HttpServer, dependencies: AuditOperatorRouteDependencies): void {
  const { database, log, trust, requireScope } = dependencies;

  app.get(
    '/v1/trust',
    { schema: { response: { 200: jsonTextOf(trustFileText), 304: noBody } } },
    async (request, reply) => sendDocument(request, reply, { type: 'application/json', document: await trust() }),
  );

  app.get(
    '/v1/audit',
    { ...requireScope('audit:read'), schema: { querystring: page, response: { 200: auditList } } },
    async ({ query: { from, limit } }, reply) => {
      const { size } = log;
      const query = { from: from ?? Math.max(0, size - limit), limit, size };
      return sendPage(database, reply, auditPage, { query, short: limit <= SHORT_MAX });
    },
  );

  app.get(
    '/v1/audit/:index/proof',
    {
      ...requireScope('audit:read'),
      schema: { params: z.strictObject({ index: z.coerce.number().int().min(0) }), response: { 200: auditProof } },
    },
    async ({ params: { index } }) => {
      const row = await database.read
        .selectFrom('audit_entry')
        .select('entry')
        .where('log_index', '=', index)
        .executeTakeFirst();
      if (row === undefined)
        throw new HubError('not-found', `the log has ${log.size} entries: there is none at ${index}`);
      await log.integrated(index);
      const proof = Buffer.from(encodeTlogProof(await log.proofFor(index))).toString('utf8');
      return { index, entry: toBase64url(row.entry), proof };
    },
  );
}

function addLeases(app: HttpServer, dependencies: AuditOperatorRouteDependencies): void {
  const { database, receipts, evidenceKeeper, requireScope } = dependencies;

  app.get(
    '/v1/leases',
    { ...requireScope('audit:read'), schema: { querystring: page, response: { 200: releaseList } } },
    async ({ query: { from = 0, limit } }, reply) =>
      sendPage(database, reply, leasePage, { query: { from, limit }, short: limit <= SHORT_MAX }),
  );

  app.get(
    '/v1/receipts/:id',
    {
      ...requireScope('audit:read'),
      schema: { params: z.strictObject({ id: z.string().max(64) }), response: { 200: receiptResponse } },
    },
    async ({ params }) => ({ receipt: toBase64url(await receipts.forLease(params.id)) }),
  );

  app.get(
    '/v1/receipts/:id/long',
    {
      ...requireScope('audit:read'),
      schema: { params: z.strictObject({ id: z.string().max(64) }), response: { 200: jsonTextOf(longReceiptText) } },
    },
    async ({ params }, reply) =>
      reply.type('application/json').send(await receipts.longForLease(params.id, evidenceKeeper)),
  );
}
