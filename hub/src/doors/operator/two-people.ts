// The gate before root operations: holds a request that needs a second person (202), and carries it out once and unchanged after approval.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { encodeCanonicalJson, type Json, parseValue } from '@edgekeep/core/json';
import { approvalRequired, type ApprovalRequired } from '@edgekeep/wire/api/approval';
import { z } from 'zod';
import { PostQuantumRule } from '../../access/post-quantum.ts';
import type { PolicyStore } from '../../access/policy-store.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import type { DeclaredRoute } from '../http/body-limits.ts';
import type { HttpServer } from '../http/server.ts';
import type { HubSettings } from '../../settings.ts';
import { actingNow, rehearse } from '../../store/authority.ts';
import type { Database } from '../../store/database.ts';
import type { ApprovalRow } from '../../store/tables/people.ts';
import { assertScope, type Caller, grantedBy } from '../../people/api-token.ts';
import { approvedHeader, type ApprovedRequests } from '../../people/approved-requests.ts';
import { grantRequest, keepRequest, recordOutcome } from '../../people/approvals.ts';
import { covers, type Scope, scopeNamed } from '../../people/roles.ts';
import { policyRulesOf } from '../../people/policy-rules.ts';
import {
  decidingFacts,
  type OperationRequest,
  type PolicyRules,
  type RootOperation,
  rootOperationOf,
} from '../../people/root-operations.ts';
import { fieldsOfGroup } from '../../registry/claims.ts';
import type { DecidingFacts } from '../../registry/import.ts';

const PATH_MAX = 300;
// The list of a root, the largest of these requests, with its quotation marks.
const BODY_CHARACTERS_MAX = 2_500_000;
const named = z.looseObject({ name: z.string() });
const anyJson = z.custom<Json>();

export class TwoPeople {
  readonly #database: Database;
  readonly #policies: Pick<PolicyStore, 'current'>;
  readonly #settings: HubSettings['access'];
  readonly #clock: Clock;
  readonly #approved: ApprovedRequests;

  constructor(
    database: Database,
    policies: Pick<PolicyStore, 'current'>,
    settings: HubSettings['access'],
    clock: Clock,
    approved: ApprovedRequests,
  ) {
    this.#database = database;
    this.#policies = policies;
    this.#settings = settings;
    this.#clock = clock;
    this.#approved = approved;
  }

  /** Whether root operations wait for a second person now. */
  async isOn(): Promise<boolean> {
    const { twoPeople } = this.#settings;
    return twoPeople === 'auto' ? this.#hasTwo() : twoPeople === 'on';
  }

  /** Runs before every handler of `app`. */
  guard(app: HttpServer): void {
    app.addHook('preHandler', async (request, reply) => {
      const operation = rootOperationOf(request.method, request.routeOptions.url);
      if (operation === undefined || request.approved || !(await this.#mustWait(operation, request))) return undefined;
      return this.#hold(operation, request, reply);
    });
  }

  async #mustWait({ applies, bootstraps }: RootOperation, request: FastifyRequest): Promise<boolean> {
    if (!(await this.isOn())) return false;
    if (applies !== undefined && !applies(await this.#askedBy(request))) return false;
    return bootstraps !== true || this.#hasTwo();
  }

  async #askedBy({ body, caller, params }: FastifyRequest): Promise<OperationRequest> {
    const { data } = named.safeParse(params);
    return { body, caller, name: data?.name ?? '', limits: this.#settings, rules: await this.#rules() };
  }

  async #rules(): Promise<PolicyRules> {
    const { read } = this.#database;
    const required = await new PostQuantumRule(this.#settings.requirePostQuantum).groups(read);
    const nowMs = this.#clock();
    return policyRulesOf(read, this.#policies, { required, fieldsOf: (group) => fieldsOfGroup(group, nowMs) });
  }

  /** What an import does not change; undefined where one person is enough. */
  async decidingFacts(): Promise<DecidingFacts | undefined> {
    return (await this.isOn()) ? decidingFacts(await this.#rules()) : undefined;
  }

  // Everybody who ever held admin counts: disabling the second person does not remove the rule.
  async #hasTwo(): Promise<boolean> {
    const rows = await this.#database.read
      .selectFrom('api_token')
      .select(['person', 'roles', 'scopes'])
      .distinct()
      .where('person', 'is not', null)
      // Once a person has replaced the bootstrap by their own token, the name on the bootstrap belongs to nobody.
      .where('claimed_as', 'is', null)
      .execute();
    const holders = rows.filter((row) => covers(grantedBy(row), 'admin')).map(({ person }) => person);
    return new Set(holders).size >= 2;
  }

  async #hold(operation: RootOperation, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { caller, method, url: path, body } = request;
    const scope = operation.scope ?? request.scope;
    if (scope === 'any') throw new TypeError(`${operation.name} needs a scope of its own`);
    assertScope(caller, scope);
    if (caller.person === undefined) {
      const message = `${operation.name} needs two people: a service cannot request it`;
      throw new HubError('approval-refused', message, { reasons: [{ code: 'not-a-person', message }] });
    }
    if (path.length > PATH_MAX)
      throw new HubError('request-invalid', `the address of the request is too long: at most ${PATH_MAX} characters`);
    const json = body === undefined || body === null ? '' : canonicalText(body);
    if (json.length > BODY_CHARACTERS_MAX)
      throw new HubError('payload-too-large', 'the request is too large to wait for a second person');
    const obstacle = operation.obstacle?.(body);
    if (obstacle !== undefined) throw new HubError('request-invalid', obstacle);
    // As before every handler: the body may have taken long to arrive.
    await actingNow()?.recheck(this.#database.read);
    await rehearseRequest(request, reply);
    const pending = { operation: operation.name, scope, method, path, body: json };
    const kept = await keepRequest(this.#database, pending, {
      caller,
      person: caller.person,
      address: request.ip,
      nowMs: this.#clock(),
      lifeSeconds: this.#settings.approvalSeconds,
    });
    const { id, digest, expires_at: expiresAt } = kept;
    const message = `${operation.name} waits for a second person, who continues with: edgekeep approval show ${id}`;
    const answer: ApprovalRequired = {
      approvalRequired: { id, operation: operation.name, digest, expiresAt, message },
    };
    return reply.status(202).send(answer);
  }

  /** Spends the approval and carries out the request exactly as it was kept. */
  async approve(
    app: Pick<HttpServer, 'inject'>,
    id: string,
    by: { readonly caller: Caller; readonly address: string; readonly digest: string },
  ): Promise<{ readonly state: 'executed' | 'failed'; readonly status: number; readonly answer: unknown }> {
    const { request, requester } = await grantRequest(this.#database, id, { ...by, nowMs: this.#clock() });
    const actor = `person:${request.person} with person:${request.decided_by ?? ''}`;
    const people = [
      { caller: requester, address: request.address ?? 'unknown' },
      { caller: by.caller, address: by.address },
    ];
    const key = this.#approved.add({ people, scope: scopeOf(request), actor });
    const answer = await this.#carryOut(app, request, key);
    const state = await recordOutcome(this.#database, id, answer.statusCode);
    const parsed: unknown = answer.body === '' ? null : answer.json();
    return { state, status: answer.statusCode, answer: parsed };
  }

  async #carryOut(app: Pick<HttpServer, 'inject'>, { method, path: url, body }: ApprovalRow, key: string) {
    const content = body === '' ? {} : { payload: body, headers: { 'content-type': 'application/json' } };
    try {
      const headers = { ...content.headers, [approvedHeader]: key };
      return await app.inject({ ...content, method: methodOf(method), url, headers });
    } finally {
      // If the request reached no route, its approval is still here: removes it.
      this.#approved.take(key);
    }
  }
}

/** For the OpenAPI document: what the gate answers on this route, by status. */
export function approvalAnswers({ method, url }: DeclaredRoute): ReadonlyMap<number, z.ZodType> {
  return new Map(rootOperationOf(String(method), url) === undefined ? [] : [[202, approvalRequired]]);
}

// What would be refused when it is carried out costs no second person their time. The act decides again, by what is then.
async function rehearseRequest(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { handler } = request.routeOptions;
  request.approved = true;
  try {
    await rehearse(async () => handler.call(request.server, request, reply));
  } finally {
    request.approved = false;
  }
}

function scopeOf({ id, scope }: ApprovalRow): Scope {
  const known = scopeNamed(scope);
  if (known !== undefined) return known;
  throw new HubError('approval-refused', `request ${id} asks for the scope ${scope}, which no longer exists`);
}

function canonicalText(body: unknown): string {
  return Buffer.from(encodeCanonicalJson(parseValue(body, anyJson, 'body'))).toString('utf8');
}

function methodOf(method: string): RootOperation['method'] {
  if (method === 'POST' || method === 'PUT' || method === 'DELETE') return method;
  throw new HubError('store-failed', `a kept request with the method ${method}`);
}
