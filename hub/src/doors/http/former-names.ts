// Requests of the previous version (docs/upgrading.md). A former address is rewritten to the present route before anything reads it, so
// that limits, scopes and two people are those of the present route. Under a former address the messages have their former names too.
import type { Server } from 'node:https';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type FormerName, type FormerNames, renameFormer } from '@edgekeep/core/former-names';
import { HubError } from '../../common/error.ts';
import { noteFormerName, type NotedNames, runNoting } from '../../common/former-names.ts';

const formerPaths: readonly FormerName[] = [
  { former: '/v1/enrol', present: '/v1/enroll' },
  { former: '/v1/enrolment-groups', present: '/v1/enrollment-groups' },
  { former: '/v1/enrolment-tokens', present: '/v1/enrollment-tokens' },
  { former: '/v1/authorities/missing', present: '/v1/authorities/pending' },
];
const formerMembers: FormerNames = { devicesMost: 'maxDevices', usesMost: 'maxUses' };
const formerMemberOf = new Map(Object.entries(formerMembers).map(([former, present]) => [present, former]));

/** RFC 9745: the second from which on a name is deprecated. */
const deprecatedSince = `@${Date.UTC(2026, 10, 30) / 1_000}`;
/** `former=present`, separated by commas. */
const formerNamesHeader = 'edgekeep-former-names';

/** For fastify's `rewriteUrl`. */
export function presentUrl(url: string): string {
  const path = formerPathIn(url);
  return path === undefined ? url : `${path.present}${url.slice(path.former.length)}`;
}

function formerPathIn(url: string): FormerName | undefined {
  return formerPaths.find(({ former }) => url.startsWith(former) && /^(?:[/?]|$)/.test(url.slice(former.length)));
}

type Hooks = Pick<FastifyInstance<Server>, 'addHook'>;
const notedOf = new WeakMap<object, NotedNames>();

/** Adds the hooks; `onFormerName` is called once for each name and request. */
export function answerFormerNames(app: Hooks, onFormerName: (name: FormerName) => void): void {
  const logged = new Set<string>();
  app.addHook('onRequest', (request, _reply, done) => {
    const noted: NotedNames = new Map();
    notedOf.set(request, noted);
    runNoting(noted, () => {
      const path = formerPathIn(request.originalUrl);
      if (path !== undefined) noteFormerName(path);
      done();
    });
  });
  // The body arrives in events of the socket, which do not know their request.
  app.addHook('preValidation', (request, _reply, done) => runNoting(notedOf.get(request), done));
  app.addHook('preValidation', async (request) => {
    if (formerPathIn(request.originalUrl) !== undefined) request.body = presentBody(request.body);
  });
  app.addHook('onSend', async (request, reply, payload) => answered(request, reply, payload));
  app.addHook('onResponse', async (request) => {
    for (const name of notedOf.get(request)?.values() ?? []) {
      onFormerName(name);
      if (logged.has(name.former)) continue;
      logged.add(name.former);
      const line = { address: request.ip, former: name.former, present: name.present };
      request.log.warn(line, `${name.former} was asked for by its former name, which the next version does not know`);
    }
  });
}

function presentBody(body: unknown): unknown {
  const { value, doubled } = renameFormer(body, formerMembers);
  const [twice] = doubled;
  if (twice === undefined) return value;
  throw new HubError('request-invalid', `${twice.former} and ${twice.present} are one member: send one of them`);
}

function answered(request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown {
  const names = [...(notedOf.get(request)?.values() ?? [])];
  if (names.length === 0) return payload;
  reply.header('deprecation', deprecatedSince);
  reply.header(formerNamesHeader, names.map(({ former, present }) => `${former}=${present}`).join(', '));
  const isFormer = formerPathIn(request.originalUrl) !== undefined;
  return isFormer && typeof payload === 'string' ? formerBody(payload) : payload;
}

function formerBody(text: string): string {
  if (!text.startsWith('{')) return text;
  return JSON.stringify(JSON.parse(text, formerValue));
}

// A reviver: it sees the members of an object before the object itself.
function formerValue(key: string, value: unknown): unknown {
  if (key === 'code' && typeof value === 'string') return value.replace(/^enrollment-/, 'enrolment-');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [formerMemberOf.get(name) ?? name, each]));
}
