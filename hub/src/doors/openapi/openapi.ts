// The OpenAPI 3.1 document of a listener, made from what its routes declare (answers.ts) and from the zod schemas that check the messages.
import { sendDocument } from '../http/document.ts';
import { requestKeyHeader, requestKeyPattern, takesRequestKey } from '../http/keyed-route.ts';
import { noteUndeclared } from '../http/route-table.ts';
import type { HttpServer } from '../http/server.ts';
import { utf8 } from '@edgekeep/core/bytes';
import { z } from 'zod';
import { type Document, documentOf } from '../../store/document.ts';
import {
  assertAnswers,
  type AnsweringRoute,
  contentOf,
  jsonTextOf,
  noBody,
  type Listener,
  type Operations,
  ownAnswers,
  ownRefusals,
  refusalsOf,
} from './answers.ts';
import { apiTexts, securitySchemes, tagOf, tags } from './texts.ts';
import { refusalName, refusalSchemas } from './refusals.ts';
import { type JsonSchema, SchemaBook, type WordLists } from './schema-book.ts';

export interface OpenApiOptions {
  readonly listener: Listener;
  readonly operations: Operations;
  /** Closed lists that only the hub knows, by the name of their schema. */
  readonly lists: WordLists;
  /** Answers of the listener's hooks, besides those of the route. */
  readonly held?: (route: AnsweringRoute) => ReadonlyMap<number, z.ZodType>;
}

/** Serves the document of all routes that are registered after it, and lets no route pass that says too little. */
export function openApiRoute(app: HttpServer, options: OpenApiOptions): void {
  const routes: AnsweringRoute[] = [];
  const statuses = new Map<string, ReadonlySet<number>>();
  app.addHook('onRoute', (route) => {
    assertAnswers(route, options.operations);
    if (route.method === 'HEAD' || route.schema?.hide === true) return;
    routes.push(route);
    statuses.set(`${String(route.method)} ${route.url}`, statusesOf(route, options));
  });
  app.addHook('onSend', async ({ routeOptions, log }, { statusCode }) => {
    const route = `${String(routeOptions.method)} ${routeOptions.url}`;
    if (statuses.get(route)?.has(statusCode) !== false) return;
    noteUndeclared(app.server, `${route} ${statusCode}`);
    log.error({ route, status: statusCode }, 'an answer that the route does not declare');
  });
  // Made once: anybody may ask for it.
  let document: Document | undefined;
  let making: Promise<Document> | undefined;
  const hidden = { hide: true, response: { 200: jsonTextOf(z.unknown()), 304: noBody } };
  app.get('/openapi.json', { schema: hidden }, async (request, reply) => {
    if (document === undefined) {
      making ??= makeDocument(routes, options).finally(() => (making = undefined));
      document = await making;
    }
    return sendDocument(request, reply, { type: 'application/json; charset=utf-8', document });
  });
}

function statusesOf(route: AnsweringRoute, { listener, operations, held }: OpenApiOptions): ReadonlySet<number> {
  return new Set([
    ...ownAnswers(route).keys(),
    ...(held?.(route).keys() ?? []),
    ...refusalsOf(route, listener, operations),
  ]);
}

async function makeDocument(routes: readonly AnsweringRoute[], options: OpenApiOptions): Promise<Document> {
  return documentOf(utf8(JSON.stringify(await describe(routes, options))));
}

async function describe(routes: readonly AnsweringRoute[], options: OpenApiOptions): Promise<object> {
  const { listener } = options;
  const book = new SchemaBook(options.lists);
  for (const route of routes) noteSchemas(book, route, options);
  await book.convert();
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes.toSorted((a, b) => compare(a.url, b.url))) {
    const path = (paths[pathOf(route.url)] ??= {});
    path[String(route.method).toLowerCase()] = operationOf(book, route, options);
  }
  const refused = new Set(routes.flatMap((route) => [...refusalsOf(route, listener, options.operations)]));
  const used = new Set(routes.map(({ url }) => tagOf(url)));
  const { title, description, port } = apiTexts[listener];
  return {
    openapi: '3.1.0',
    info: {
      title,
      version: '0.1.0',
      description,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [
      {
        url: 'https://{host}:{port}',
        variables: { host: { default: '127.0.0.1' }, port: { default: port } },
      },
    ],
    tags: tags.filter(({ name }) => used.has(name)),
    paths,
    components: {
      securitySchemes: securitySchemes[listener],
      schemas: sorted({ ...book.components(), ...refusalSchemas(refused) }),
    },
  };
}

function noteSchemas(book: SchemaBook, route: AnsweringRoute, { held }: OpenApiOptions): void {
  const { schema = {} } = route;
  for (const answer of [...ownAnswers(route), ...(held?.(route) ?? [])].map(([, each]) => contentOf(each)?.json))
    if (answer !== undefined) book.note(answer);
  for (const asked of [schema.params, schema.querystring, schema.body])
    if (asked instanceof z.ZodType) book.note(asked);
}

function operationOf(book: SchemaBook, route: AnsweringRoute, { listener, operations, held }: OpenApiOptions): object {
  const { schema = {}, url, config } = route;
  const [operationId, summary] = operations[`${String(route.method)} ${url}`] ?? [];
  const who = config?.who ?? 'anyone';
  const own = new Map([...ownAnswers(route), ...(held?.(route) ?? [])]);
  const responses: Record<string, object> = {};
  for (const [status, answer] of own) responses[status] = answerOf(book, status, answer);
  const codes = ownRefusals(route, operations);
  for (const status of refusalsOf(route, listener, operations))
    if (!own.has(status)) responses[status] = refusalOf(status, codes.get(status));
  const parameters = [
    ...parametersOf(book, schema.params, 'path'),
    ...parametersOf(book, schema.querystring, 'query'),
    ...(listener === 'operator' && takesRequestKey(route) ? [requestKeyParameter] : []),
  ];
  return {
    operationId,
    summary,
    description: `Who may ask: ${who}.`,
    tags: [tagOf(url)],
    security: securityOf(route, listener),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...bodyOf(book, route),
    responses,
  };
}

function securityOf({ config, schema }: AnsweringRoute, listener: Listener): object[] {
  if (schema?.proofs !== undefined) return schema.proofs.map((name) => ({ [name]: [] }));
  const who = config?.who ?? 'anyone';
  if (who.startsWith('anyone')) return [];
  if (listener === 'device') return [{ deviceCertificate: [] }];
  return [{ token: who === 'any token' ? [] : [who] }];
}

function parametersOf(book: SchemaBook, schema: unknown, place: 'path' | 'query'): object[] {
  if (!(schema instanceof z.ZodType)) return [];
  const { properties = {}, required = [] } = book.inline(schema);
  return Object.entries(properties).map(([name, property]) => ({
    name: name === '*' ? 'path' : name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(name === '*' ? { description: 'Slashes may be sent as they are, or as %2F.' } : {}),
    schema: property,
  }));
}

const requestKeyParameter = {
  name: requestKeyHeader,
  in: 'header',
  required: false,
  description: 'A request that is sent again with its key is answered as before, and not carried out again.',
  schema: { type: 'string', pattern: requestKeyPattern.source },
};

function bodyOf(book: SchemaBook, { schema = {} }: AnsweringRoute): object {
  const { takes, body } = schema;
  if (takes !== undefined) {
    const bytes = { [takes]: { schema: schemaOfBytes(takes) } };
    return { requestBody: { required: true, content: bytes } };
  }
  if (!(body instanceof z.ZodType)) return {};
  const required = !body.safeParse(undefined).success;
  return { requestBody: { required, content: { 'application/json': { schema: book.reference(body, 'input') } } } };
}

function answerOf(book: SchemaBook, status: number, answer: z.ZodType): object {
  const description = statusTexts.get(status) ?? `Status ${status}.`;
  const content = contentOf(answer);
  if (content === undefined) return { description };
  const { mediaType, json } = content;
  const schema = json === undefined ? schemaOfBytes(mediaType) : book.reference(json, 'output');
  return { description, content: { [mediaType]: { schema } } };
}

function schemaOfBytes(mediaType: string): JsonSchema {
  const isText = mediaType.startsWith('text/') || mediaType.endsWith('ndjson');
  return { type: 'string', ...(isText ? {} : { format: 'binary' }) };
}

function refusalOf(status: number, codes: readonly string[] = []): object {
  const headers = [429, 503].includes(status)
    ? {
        headers: {
          'Retry-After': {
            description: 'Seconds to wait.',
            required: status === 429,
            schema: { type: 'integer', minimum: 1 },
          },
        },
      }
    : {};
  const schema = { $ref: `#/components/schemas/${refusalName(status)}` };
  const text = statusTexts.get(status) ?? `Status ${status}.`;
  const description = codes.length === 0 ? text : `${text} Codes: ${codes.map((code) => `\`${code}\``).join(', ')}.`;
  return { description, ...headers, content: { 'application/json': { schema } } };
}

const statusTexts: ReadonlyMap<number, string> = new Map([
  [200, 'Done.'],
  [202, 'The request waits for a second person.'],
  [206, 'The requested range.'],
  [304, 'Unchanged since the version that `If-None-Match` names.'],
  [400, 'The request is malformed.'],
  [401, 'The caller did not prove who it is.'],
  [403, 'The caller may not do this.'],
  [404, 'There is no such thing.'],
  [409, 'The present state does not allow this.'],
  [413, 'The body is too large.'],
  [415, 'The body has another media type than this route takes.'],
  [416, 'The range is outside the file.'],
  [422, 'The content was read and refused.'],
  [429, 'Too many requests, or too much work.'],
  [500, 'The hub failed.'],
  [503, 'The hub cannot answer now.'],
]);

/** The address with named parameters: `/v1/devices/{id}`. */
function pathOf(url: string): string {
  return url.replaceAll(/:(\w+)/g, '{$1}').replace(/\*$/, '{path}');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function sorted<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => compare(a, b)));
}
