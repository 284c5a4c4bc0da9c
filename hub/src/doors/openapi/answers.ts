// What a route declares of itself: its name, one line, its answers. The OpenAPI documents are made of it (openapi.ts), and a route that says
// too little does not start. Refusals that follow from who may ask, from a name in the address and from having a body are the same for all
// routes; each operation names the codes of the others.
import type { FastifySchema } from 'fastify';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { hubErrorCodes } from '../../common/declarations.ts';
import type { HubErrorCode } from '../../common/error.ts';
import { bodyBytes, type DeclaredRoute, readsBody } from '../http/body-limits.ts';
import { takesRequestKey } from '../http/keyed-route.ts';
import { namedSchemas } from './named-schemas.ts';

declare module 'fastify' {
  interface FastifySchema {
    /** The media type of a body that no schema checks. */
    takes?: string;
    /** How a caller proves who it is where the connection does not: names of texts.ts. */
    proofs?: readonly string[];
    /** Not part of the API: the document itself. */
    hide?: boolean;
  }
}

/**
 * For each route (`METHOD address`) the name of its operation, unique on a listener, one line: what it does, and the codes of the refusals
 * that follow from what it does and not from its declaration.
 */
export type Operations = Readonly<
  Record<string, readonly [operationId: string, summary: string, refusals?: readonly HubErrorCode[]]>
>;

export type Listener = 'device' | 'operator';

/** A route with the schemas that it declared. */
export type AnsweringRoute = DeclaredRoute & { readonly schema?: FastifySchema | undefined };

interface Content {
  readonly mediaType: string;
  /** The form of a JSON text that the handler sends as bytes. */
  readonly json?: z.ZodType;
}

const contents = new WeakMap<z.ZodType, Content>();
const sent = () => z.custom<Uint8Array | Readable | string>();

/** An answer of bytes. */
export function bytesAs(mediaType: string) {
  const schema = sent();
  contents.set(schema, { mediaType });
  return schema;
}

/** A JSON answer that the handler sends as a text or as bytes. */
export function jsonTextOf(json: z.ZodType) {
  const schema = sent();
  contents.set(schema, { mediaType: 'application/json', json });
  return schema;
}

/** An answer without a body, for example 304. */
export const noBody = z.undefined();

/** What an answer's body is; undefined where it has none. */
export function contentOf(schema: z.ZodType): Content | undefined {
  return schema === noBody ? undefined : (contents.get(schema) ?? { mediaType: 'application/json', json: schema });
}

/** The answers that a route declares itself, by status. */
export function ownAnswers({ schema }: AnsweringRoute): ReadonlyMap<number, z.ZodType> {
  const declared = typeof schema?.response === 'object' && schema.response !== null ? schema.response : {};
  const answers = Object.entries(declared).map(([status, answer]): [number, z.ZodType] => {
    if (!(answer instanceof z.ZodType)) throw new TypeError(`the answer ${status} is not a schema`);
    return [Number(status), answer];
  });
  return new Map(answers);
}

// Any request may be malformed, one too many, or come while the hub fails or stops.
const always = [400, 429, 500, 503];

/** The codes that a route declares, by their status. */
export function ownRefusals({ method, url }: AnsweringRoute, operations: Operations): ReadonlyMap<number, string[]> {
  const [, , codes = []] = operations[`${String(method)} ${url}`] ?? [];
  const found = new Map<number, string[]>();
  for (const code of codes) found.set(hubErrorCodes[code], [...(found.get(hubErrorCodes[code]) ?? []), code]);
  return found;
}

/** The statuses of the refusals of a route, in the envelope of `errorResponse`. */
export function refusalsOf(route: AnsweringRoute, listener: Listener, operations: Operations): ReadonlySet<number> {
  const { method, url, config } = route;
  const statuses = new Set([...always, ...ownRefusals(route, operations).keys()]);
  const who = config?.who ?? 'anyone';
  // On the device listener also a public route is refused on a connection that the policy no longer permits.
  if (listener === 'device' || who !== 'anyone') for (const status of [401, 403]) statuses.add(status);
  // What a repeated request gets (spec/idempotency-key.md).
  if (listener === 'operator' && takesRequestKey(route)) for (const status of [409, 422]) statuses.add(status);
  if (/[:*]/.test(url)) statuses.add(404);
  if (readsBody(method)) for (const status of [413, 415]) statuses.add(status);
  return statuses;
}

/** For `onRoute`: finds our own mistake at start. */
export function assertAnswers(route: AnsweringRoute, operations: Operations): void {
  const { method, url, schema, bodyLimit = 0 } = route;
  if (schema?.hide === true || method === 'HEAD') return;
  const fail = (what: string) =>
    new TypeError(`${String(method)} ${url} ${what}: see hub/src/doors/openapi/answers.ts`);
  if (operations[`${String(method)} ${url}`] === undefined) throw fail('has no line in operations.ts');
  const answers = ownAnswers(route);
  if (![...answers.keys()].some((status) => status >= 200 && status < 300)) throw fail('says no answer');
  const takesBytes = schema?.takes !== undefined;
  if (readsBody(method) && bodyLimit > bodyBytes.none && schema?.body === undefined && !takesBytes)
    throw fail('does not say what its body is');
  const texts = [...answers.values()].flatMap((answer) => contentOf(answer)?.json ?? []);
  const bodies = schema?.body instanceof z.ZodType ? [schema.body] : [];
  if ([...texts, ...bodies].some((each) => !namedSchemas.has(each)))
    throw fail('has a body whose schema is not one of wire/src/api');
}
