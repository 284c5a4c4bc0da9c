// Lets fastify check requests and write answers with the zod schemas of the routes, and know their types.
import type { FastifySchemaCompiler, FastifySerializerCompiler, FastifyTypeProvider } from 'fastify';
import { brokenRule, placeText, ruleWords } from '@edgekeep/core/rule-words';
import { z } from 'zod';
import { HubError } from '../../common/error.ts';

/** What a handler gets of a request, and what its answer must be. */
export interface ZodTypeProvider extends FastifyTypeProvider {
  validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown;
  serializer: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown;
}

/** A request that does not match gets its first fault by the place where it is. */
export const validatorCompiler: FastifySchemaCompiler<unknown> = ({ schema }) => {
  const known = zodSchema(schema);
  return (data: unknown) => {
    const { data: value, error } = z.safeParse(known, data);
    if (error === undefined) return { value };
    const { path, message } = brokenRule(error.issues);
    const text = `the request/${placeText(path, '/')}: ${ruleWords(message)}`;
    return { error: new HubError('request-invalid', text) };
  };
};

/** An answer that does not match is our own mistake. */
export const serializerCompiler: FastifySerializerCompiler<unknown> = ({ schema, method, url }) => {
  const known = zodSchema(schema);
  return (data: unknown) => {
    const { data: value, error } = z.safeEncode(known, data);
    if (error !== undefined)
      throw new TypeError(`${method} ${url}: the answer does not match its schema`, { cause: error });
    return JSON.stringify(value);
  };
};

function zodSchema(schema: unknown): z.ZodType {
  if (schema instanceof z.ZodType) return schema;
  throw new TypeError('a route has a schema that is not one of zod');
}
