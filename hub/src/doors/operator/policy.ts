// Operator API: the access policy (show, apply, roll back, simulate) and the table of countries.
import { counted } from '@edgekeep/core/counted';
import { keysForEveryDevice } from '@edgekeep/core/policy/breadth';
import type { Policy } from '@edgekeep/core/policy/policy';
import { policyView } from '@edgekeep/wire/api/policy';
import * as api from '@edgekeep/wire/api/policy';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { HubError } from '../../common/error.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import type { Reason } from '../../common/error.ts';
import type { RequireScope } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { PolicyRow } from '../../store/tables/access.ts';
import type { AccessGate, GateDependencies } from '../../access/gate.ts';
import type { HubSettings } from '../../settings.ts';
import { weighClaims } from '../../access/claims-alarm.ts';
import { weighBreadth } from '../../access/breadth-alarm.ts';
import { type PolicyOrder, testsOf } from '../../access/policy-store.ts';
import { assertFactsKnown, changeOf } from '../../access/other-facts.ts';
import { claimViewOf, simulate } from '../../access/simulate.ts';

const byVersion = z.strictObject({ version: z.coerce.number().int().min(1) });
const page = z.strictObject({
  before: z.coerce.number().int().min(1).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
// Tests besides the text. How many recorded decisions a draft must answer without an error before it is applied.
const replayedBeforeApply = 2_000;

type PolicyRouteDependencies = GateDependencies & {
  readonly gate: AccessGate;
  readonly clock: Clock;
  readonly requireScope: RequireScope;
  readonly settings: Pick<HubSettings, 'alerts'>;
};

export function policyRoutes(app: HttpServer, dependencies: PolicyRouteDependencies): void {
  addPolicy(app, dependencies);
  addSimulation(app, dependencies);
  addVersions(app, dependencies);
  addCountries(app, dependencies);
}

function addPolicy(app: HttpServer, dependencies: PolicyRouteDependencies): void {
  const { policies, requireScope } = dependencies;
  const read = requireScope('devices:read');
  const write = requireScope('policy:write');

  app.get('/v1/policy', { ...read, schema: { response: { 200: policyView } } }, async () => {
    const { policy, claimGroups: _, ...current } = policies.current();
    return { ...current, keysForEveryDevice: [...keysForEveryDevice(policy)], claims: claimViewOf(policy) };
  });

  app.put(
    '/v1/policy',
    {
      ...write,
      bodyLimit: bodyBytes.policy,
      schema: { body: api.policyRequest, response: { 200: api.policyApplied } },
    },
    async (request) => apply(dependencies, request, request.body),
  );

  app.post(
    '/v1/policy/rollback',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { body: api.rollbackRequest, response: { 200: api.policyApplied } },
    },
    async (request) => {
      const { version, expectVersion } = request.body;
      const row = await policies.version(version);
      return apply(dependencies, request, { text: row.text, tests: testsOf(row), meaning: row.meaning, expectVersion });
    },
  );
}

function addSimulation(app: HttpServer, dependencies: PolicyRouteDependencies): void {
  const { policies, gate, clock, requireScope } = dependencies;
  const write = requireScope('policy:write');
  // The simulation asks about the whole fleet.
  let simulating = false;

  app.post(
    '/v1/policy/simulate',
    { ...write, bodyLimit: bodyBytes.policy, schema: { body: api.simulateRequest, response: { 200: api.simulation } } },
    async ({ body }) => {
      await assertFactsKnown(dependencies.database.read, body);
      const { text } = body;
      using draft = text === undefined ? policies.copy() : await policies.draft(text, 'any-action', clock());
      if (simulating)
        throw new HubError('rate-limited', 'a simulation is running: try again when it has ended', {
          retryAfterSeconds: 1,
        });
      simulating = true;
      try {
        return await simulate(dependencies, gate, draft, { ...body, change: changeOf(body), nowMs: clock() });
      } finally {
        simulating = false;
      }
    },
  );
}

function addVersions(app: HttpServer, dependencies: PolicyRouteDependencies): void {
  const { policies, requireScope } = dependencies;
  const read = requireScope('devices:read');

  app.get(
    '/v1/policy/versions',
    { ...read, schema: { querystring: page, response: { 200: api.policyVersions } } },
    async ({ query: { before, limit } }) => {
      const rows = await policies.history({ before, limit });
      return { versions: rows.map(lineOf), next: rows.length === limit ? (rows.at(-1)?.version ?? null) : null };
    },
  );

  app.get(
    '/v1/policy/versions/:version',
    { ...read, schema: { params: byVersion, response: { 200: api.policyVersionView } } },
    async ({ params: { version } }) => {
      const row = await policies.version(version);
      const { text, meaning } = row;
      return { ...lineOf(row), text, meaning, tests: testsOf(row) ?? null };
    },
  );
}

function addCountries(app: HttpServer, dependencies: PolicyRouteDependencies): void {
  const { countries, clock, requireScope } = dependencies;
  const read = requireScope('devices:read');
  const write = requireScope('policy:write');

  app.get('/v1/countries', { ...read, schema: { response: { 200: api.countryNetworksView } } }, async () => ({
    networks: [...(await countries.list())],
  }));

  app.put(
    '/v1/countries',
    {
      ...write,
      bodyLimit: bodyBytes.networks,
      schema: { body: api.countryNetworks, response: { 200: api.countryNetworksResponse } },
    },
    async ({ body, actor }) => ({
      networks: await countries.replace(body.networks, { actor, nowMs: clock() }),
    }),
  );
}

async function apply(
  dependencies: PolicyRouteDependencies,
  request: FastifyRequest,
  order: Pick<PolicyOrder, 'text' | 'tests' | 'meaning' | 'expectVersion'>,
): Promise<z.infer<typeof api.policyApplied>> {
  const { database, policies, gate, clock } = dependencies;
  const nowMs = clock();
  const { actor } = request;
  const objections = async (draft: Policy): Promise<readonly Reason[]> => {
    const trial = await simulate(dependencies, gate, draft, {
      last: replayedBeforeApply,
      fleet: false,
      names: 0,
      nowMs,
    });
    const { count, first } = trial.errors;
    // A request that two people approved is carried out from here; the present address of the first person is not known.
    const own = request.approved
      ? ({ kind: 'permitted' } as const)
      : draft.decide(gate.operatorQuestion(request.caller, momentOf(request, nowMs)));
    return [
      ...(count === 0
        ? []
        : [
            { code: 'policy-error', message: `it errs at ${counted(count, 'recorded decision')}; the first: ${first}` },
          ]),
      ...(own.kind === 'permitted'
        ? []
        : [
            { code: 'policy-locks-out', message: `it would not permit ${actor} to apply another policy` },
            ...own.reasons,
          ]),
    ];
  };
  const applied = await policies.apply({ ...order, objections, actor, nowMs });
  if (dependencies.settings.alerts.policyGivesAllKeys) await weighBreadth(database, applied, nowMs);
  await weighClaims(database, applied, nowMs);
  const { version, digest, text, appliedAt } = applied;
  return { version, digest, text, appliedAt, connectionsClosed: await gate.recheck(nowMs) };
}

function momentOf(request: FastifyRequest, nowMs: number) {
  return { address: request.ip, scope: 'policy:write', changes: true, nowMs };
}

function lineOf(row: PolicyRow): z.infer<typeof api.policyVersions>['versions'][number] {
  const { version, digest, applied_at: appliedAt, applied_by: appliedBy } = row;
  return { version, digest, appliedAt, appliedBy, tests: testsOf(row)?.tests.length ?? 0 };
}
