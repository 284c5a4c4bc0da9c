// Requests that wait for a second person, in the store (spec/operator-access.md, "Two people"). An approval is spent in the transaction
// that grants it, before the request is carried out: it is never carried out twice, even after a failure.
import { randomUUID } from 'node:crypto';
import { requestDigest } from '@edgekeep/core/access/request-digest';
import { utf8 } from '@edgekeep/core/bytes';
import type { ApprovalSummary, ApprovalView } from '@edgekeep/wire/api/approval';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { ApprovalRow } from '../store/tables/people.ts';
import { type Caller, findCaller } from './api-token.ts';
import { covers, type Scope, scopeNamed } from './roles.ts';

// More requests at once from one person are a program error.
const WAITING_MAX = 20;
const LISTED_MAX = 500;
// No request takes longer: after this time, an approval without an outcome was cut short by the end of the hub.
const EXECUTION_MS_MAX = 120_000;

// Bodies are up to a megabyte each.
const listed = [
  'id',
  'operation',
  'digest',
  'scope',
  'method',
  'path',
  'person',
  'requested_at',
  'expires_at',
  'state',
  'decided_by',
  'decided_at',
  'reason',
  'answered_status',
] as const;
type ListedRow = Pick<ApprovalRow, (typeof listed)[number]>;

export interface PendingRequest {
  readonly operation: string;
  readonly scope: Scope;
  readonly method: string;
  readonly path: string;
  /** Canonical JSON, or empty. */
  readonly body: string;
}

export interface Granted {
  readonly request: ApprovalRow;
  /** The person who made the request, in their present state. */
  readonly requester: Caller;
}

/** Keeps a request until somebody approves it; a request that waits already is not kept twice. */
export async function keepRequest(
  database: Database,
  pending: PendingRequest,
  by: {
    readonly caller: Caller;
    readonly person: string;
    readonly address: string;
    readonly nowMs: number;
    readonly lifeSeconds: number;
  },
): Promise<ApprovalRow> {
  const { caller, person, address, nowMs, lifeSeconds } = by;
  const digest = requestDigest({ ...pending, body: utf8(pending.body) });
  return database.write(async (trx) => {
    const waiting = await trx
      .selectFrom('approval')
      .selectAll()
      .where('person', '=', person)
      .where('state', '=', 'waiting')
      .where('expires_at', '>', nowMs)
      .execute();
    const same = waiting.find((row) => row.digest === digest && row.token_sha256 === caller.tokenSha256);
    if (same !== undefined) return same;
    if (waiting.length >= WAITING_MAX) {
      throw new HubError(
        'rate-limited',
        `${WAITING_MAX} requests of ${person} wait already: \`edgekeep approval list\``,
      );
    }
    const row: ApprovalRow = {
      ...pending,
      id: randomUUID(),
      digest,
      person,
      token_sha256: caller.tokenSha256,
      requested_at: nowMs,
      expires_at: nowMs + lifeSeconds * 1_000,
      state: 'waiting',
      decided_by: null,
      decided_at: null,
      reason: null,
      answered_status: null,
      address,
    };
    await trx.insertInto('approval').values(row).execute();
    await record(trx, 'approval-requested', row, { actor: caller.actor, nowMs });
    return row;
  });
}

/**
 * Spends the approval, once and for this digest alone. Throws `approval-refused` with the reason, or `conflict` when it was decided before.
 */
export async function grantRequest(
  database: Database,
  id: string,
  by: { readonly caller: Caller; readonly digest: string; readonly nowMs: number },
): Promise<Granted> {
  const { caller, digest, nowMs } = by;
  return database.write(async (trx) => {
    const row = await getWaiting(trx, id, nowMs);
    const { person } = await standing(trx, caller.tokenSha256, row.scope, nowMs, 'your token');
    if (person === undefined) throw refused('not-a-person', 'a service cannot approve: use a token of a person');
    if (person === row.person) {
      throw refused('same-person', `${person} made this request: another person must approve it, with any token`);
    }
    if (digest !== row.digest) {
      throw refused('digest-differs', 'this is not the request that you were shown: `edgekeep approval show` again');
    }
    const requester = await standing(trx, row.token_sha256, row.scope, nowMs, `the token of ${row.person}`);
    const change = { state: 'approved', decided_by: person, decided_at: nowMs } as const;
    await trx.updateTable('approval').set(change).where('id', '=', id).execute();
    await record(trx, 'approval-given', row, { actor: caller.actor, nowMs });
    return { request: { ...row, ...change }, requester };
  });
}

/** Ends a waiting request: by anybody who could approve it, or by the person who made it. */
export async function refuseRequest(
  database: Database,
  id: string,
  by: { readonly caller: Caller; readonly reason: string; readonly nowMs: number },
): Promise<ApprovalRow> {
  const { caller, reason, nowMs } = by;
  return database.write(async (trx) => {
    const row = await getWaiting(trx, id, nowMs);
    const { person } = await standing(trx, caller.tokenSha256, row.scope, nowMs, 'your token');
    if (person === undefined) throw refused('not-a-person', 'a service cannot decide: use a token of a person');
    const change = { state: 'refused', decided_by: person, decided_at: nowMs, reason } as const;
    await trx.updateTable('approval').set(change).where('id', '=', id).execute();
    await record(trx, 'approval-refused', row, { actor: caller.actor, nowMs, reason });
    return { ...row, ...change };
  });
}

/** Records the outcome of a request that was carried out. */
export async function recordOutcome(database: Database, id: string, status: number): Promise<'executed' | 'failed'> {
  const state = status < 300 ? 'executed' : 'failed';
  const change = { state, answered_status: status } as const;
  await database.writeAsHub((trx) => trx.updateTable('approval').set(change).where('id', '=', id).execute());
  return state;
}

/** The newest requests that `caller` could approve or has made. */
export async function listRequests(
  database: Database,
  caller: Caller,
  page: { readonly state: 'waiting' | 'any'; readonly nowMs: number },
): Promise<readonly ApprovalSummary[]> {
  let rows = database.read.selectFrom('approval').select(listed).orderBy('requested_at', 'desc').limit(LISTED_MAX);
  if (page.state === 'waiting') rows = rows.where('state', '=', 'waiting').where('expires_at', '>', page.nowMs);
  const found = await rows.execute();
  return found.filter((row) => mayRead(caller, row)).map((row) => summaryOf(row, page.nowMs));
}

export async function getRequest(database: Database, caller: Caller, id: string, nowMs: number): Promise<ApprovalView> {
  const row = await database.read.selectFrom('approval').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined || !mayRead(caller, row)) throw unknown(id);
  return { ...summaryOf(row, nowMs), body: row.body };
}

/** What the request needs, for asking the policy; undefined if the request does not exist. */
export async function scopeOfRequest(database: Database, id: string): Promise<string | undefined> {
  const row = await database.read.selectFrom('approval').select('scope').where('id', '=', id).executeTakeFirst();
  return row?.scope;
}

function mayRead(caller: Caller, row: ListedRow): boolean {
  const scope = scopeNamed(row.scope);
  return caller.person === row.person || (scope !== undefined && covers(caller.scopes, scope));
}

async function getWaiting(trx: WriteTransaction, id: string, nowMs: number): Promise<ApprovalRow> {
  const row = await trx.selectFrom('approval').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined) throw unknown(id);
  const state = stateOf(row, nowMs);
  if (state === 'waiting') return row;
  throw new HubError(
    'conflict',
    `this request is ${state}: an approval is valid once and for a limited time; make the request again`,
  );
}

// Checked inside the transaction: a token may have ended since the door let it in.
async function standing(
  trx: WriteTransaction,
  sha256: string,
  scope: string,
  nowMs: number,
  whose: string,
): Promise<Caller> {
  const caller = await findCaller(trx, sha256, nowMs);
  if (typeof caller === 'string') throw refused('token-ended', `${whose} is no longer valid: ${caller}`);
  const known = scopeNamed(scope);
  if (known !== undefined && covers(caller.scopes, known)) return caller;
  throw refused('scope-missing', `${whose} lacks the scope ${scope}`);
}

function refused(code: string, message: string): HubError {
  return new HubError('approval-refused', message, { reasons: [{ code, message }] });
}

function unknown(id: string): HubError {
  return new HubError('not-found', `no request ${JSON.stringify(id)} waits for you: \`edgekeep approval list\``);
}

async function record(
  trx: WriteTransaction,
  kind: string,
  { id, operation, digest, person }: ApprovalRow,
  { actor, nowMs, reason }: { readonly actor: string; readonly nowMs: number; readonly reason?: string },
): Promise<void> {
  const data = { operation, digest, person, reason };
  await appendEntry(trx, { at: nowMs, kind, actor, subject: `approval:${id}`, data });
}

function summaryOf(row: ListedRow, nowMs: number): ApprovalSummary {
  const { id, operation, digest, scope, method, path, person, reason } = row;
  return {
    id,
    operation,
    digest,
    scope,
    method,
    path,
    person,
    requestedAt: row.requested_at,
    expiresAt: row.expires_at,
    state: stateOf(row, nowMs),
    decidedBy: row.decided_by,
    decidedAt: row.decided_at,
    reason,
    status: row.answered_status,
  };
}

function stateOf({ state, expires_at: expiresAt, decided_at: decidedAt }: ListedRow, nowMs: number) {
  if (state === 'waiting' && expiresAt <= nowMs) return 'expired';
  if (state === 'approved' && nowMs > (decidedAt ?? 0) + EXECUTION_MS_MAX) return 'interrupted';
  return state;
}
