// Operator API: people and their API tokens.
import { apiTokenResponse, apiTokenRequest, apiTokenRevoked } from '@edgekeep/wire/api/people';
import * as people from '@edgekeep/wire/api/people';
import { z } from 'zod';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import type { RequireScope } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import { sendPage, SHORT_MAX } from './pages.ts';
import { peoplePage, tokenPage, tokenQuery } from './people-page.ts';
import type { HubSettings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import { addPerson, disablePerson, enablePerson } from '../../people/people.ts';
import { claimHub, handOverToken } from '../../people/hand-over.ts';
import { covers } from '../../people/roles.ts';
import { createToken, getToken, revokeTokens, tokenOrderOf } from '../../people/token-store.ts';

const byName = z.strictObject({ name: z.string().max(100) });
const byId = z.strictObject({ id: z.string().max(100) });
interface PeopleRouteDependencies {
  readonly database: Database;
  readonly settings: Pick<HubSettings, 'tokens'>;
  readonly clock: Clock;
  readonly requireScope: RequireScope;
  /** Whether root operations wait for a second person now. */
  readonly twoPeople: () => Promise<boolean>;
}

export function peopleRoutes(app: HttpServer, dependencies: PeopleRouteDependencies): void {
  addPeople(app, dependencies);
  addTokens(app, dependencies);
  addHandOver(app, dependencies);
}

function addPeople(app: HttpServer, dependencies: PeopleRouteDependencies): void {
  const { database, clock, requireScope, twoPeople } = dependencies;

  app.get(
    '/v1/people',
    { ...requireScope('admin'), schema: { response: { 200: people.personList } } },
    async (_request, reply) => {
      const query = { nowMs: clock(), twoPeople: await twoPeople() };
      return sendPage(database, reply, peoplePage, { query, short: false });
    },
  );

  app.post(
    '/v1/people',
    {
      ...requireScope('admin'),
      bodyLimit: bodyBytes.order,
      schema: { body: people.personRequest, response: { 200: people.personRequest } },
    },
    async ({ body: { name }, actor }) => {
      await database.write((trx) => addPerson(trx, { name, actor, nowMs: clock() }));
      return { name };
    },
  );

  app.post(
    '/v1/people/:name/disable',
    {
      ...requireScope('admin'),
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: people.personDisableRequest, response: { 200: people.personDisabled } },
    },
    async ({ params: { name }, body: { reason }, actor }) => {
      const tokensEnded = await disablePerson(database, { name, reason, actor, nowMs: clock() });
      return { name, tokensEnded };
    },
  );

  app.post(
    '/v1/people/:name/enable',
    {
      ...requireScope('admin'),
      bodyLimit: bodyBytes.none,
      schema: { params: byName, response: { 200: people.personRequest } },
    },
    async ({ params: { name }, actor }) => {
      await enablePerson(database, { name, actor, nowMs: clock() });
      return { name };
    },
  );
}

function addTokens(app: HttpServer, dependencies: PeopleRouteDependencies): void {
  const { database, settings, clock, requireScope } = dependencies;

  app.get(
    '/v1/tokens',
    { ...requireScope('tokens:write'), schema: { querystring: tokenQuery, response: { 200: people.tokenList } } },
    async ({ query, caller }, reply) => {
      const own = covers(caller.scopes, 'admin') ? query.person : caller.person;
      if (!covers(caller.scopes, 'admin') && own === undefined) return { tokens: [], next: null };
      // In the order of the key, a page reads what it shows.
      const short = query.state === 'any' && own === undefined && query.limit <= SHORT_MAX;
      return sendPage(database, reply, tokenPage, { query: { ...query, person: own, nowMs: clock() }, short });
    },
  );

  app.get(
    '/v1/tokens/:id',
    { ...requireScope('tokens:write'), schema: { params: byId, response: { 200: people.tokenView } } },
    async ({ params: { id }, caller }) => {
      const token = await getToken(database.read, id);
      if (covers(caller.scopes, 'admin') || (token.person !== null && token.person === caller.person)) return token;
      throw new HubError('not-found', 'no API token of yours has this id: `edgekeep token list` shows all');
    },
  );

  app.post(
    '/v1/tokens',
    {
      ...requireScope('tokens:write'),
      bodyLimit: bodyBytes.order,
      schema: { body: apiTokenRequest, response: { 200: apiTokenResponse } },
    },
    async ({ body, caller, actor }) => {
      const by = { caller, actor, nowMs: clock(), maxLifeDays: settings.tokens.maxLifeDays };
      const { token = null, ...made } = await createToken(database, tokenOrderOf(body), by);
      return { ...made, token };
    },
  );

  app.post(
    '/v1/tokens/:name/revoke',
    {
      ...requireScope('tokens:write'),
      bodyLimit: bodyBytes.none,
      schema: { params: byName, response: { 200: apiTokenRevoked } },
    },
    async ({ params: { name }, caller, actor }) => ({
      name,
      revoked: await revokeTokens(database, name, { caller, actor, nowMs: clock() }),
    }),
  );
}

function addHandOver(app: HttpServer, dependencies: PeopleRouteDependencies): void {
  const { database, settings, clock, requireScope } = dependencies;

  app.post(
    '/v1/claim',
    {
      ...requireScope('admin'),
      bodyLimit: bodyBytes.order,
      schema: { body: people.claimRequest, response: { 200: people.claimResponse } },
    },
    async ({ body, caller, actor }) => {
      const lifeSeconds = Math.min(body.lifeSeconds, settings.tokens.maxLifeDays * 86_400);
      return claimHub(database, { ...body, lifeSeconds, caller, actor, nowMs: clock() });
    },
  );

  app.post(
    '/v1/tokens/:id/hand-over',
    {
      ...requireScope('admin'),
      bodyLimit: bodyBytes.none,
      schema: { params: z.strictObject({ id: people.tokenIdSchema }), response: { 200: people.handOverResponse } },
    },
    async ({ params: { id }, caller, actor }) => handOverToken(database, { id, caller, actor, nowMs: clock() }),
  );
}
