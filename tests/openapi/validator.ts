// Holds answers against an OpenAPI document: the status, the media type, the headers that are required, and the body by its schema.
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';

const schemaObject = z.record(z.string(), z.unknown());

const response = z.object({
  description: z.string(),
  headers: z.record(z.string(), z.looseObject({ required: z.boolean() })).default({}),
  content: z.record(z.string(), z.object({ schema: schemaObject })).optional(),
});

const operation = z.object({
  operationId: z.string(),
  summary: z.string(),
  tags: z.array(z.string()).min(1),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  parameters: z.array(z.looseObject({ name: z.string(), in: z.enum(['path', 'query', 'header']) })).default([]),
  requestBody: z.object({ content: z.record(z.string(), z.object({ schema: schemaObject })) }).optional(),
  responses: z.record(z.string(), response),
});

export type Operation = z.infer<typeof operation>;

const documentSchema = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), operation)),
  components: z.looseObject({ schemas: z.record(z.string(), schemaObject) }),
});

export interface HubAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
}

export class OpenApiDocument {
  readonly paths: z.infer<typeof documentSchema>['paths'];
  readonly schemas: Readonly<Record<string, unknown>>;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });

  constructor(text: string) {
    const parsed: unknown = JSON.parse(text);
    const { paths, components } = documentSchema.parse(parsed);
    this.paths = paths;
    this.schemas = components.schemas;
    addFormats.default(this.#ajv);
    this.#ajv.addSchema(closed({ $id: 'api', components }));
  }

  operationOf(method: string, route: string): Operation | undefined {
    const path = route.replaceAll(/:(\w+)/g, '{$1}').replace(/\*$/, '{path}');
    return this.paths[path]?.[method.toLowerCase()];
  }

  /** What of an answer is not in the document; empty when all of it is. */
  problemsOf(method: string, route: string, { status, headers, body }: HubAnswer): string[] {
    const where = `${method} ${route} ${status}`;
    const declared = this.operationOf(method, route)?.responses[status];
    if (declared === undefined) return [`${where}: not in the document`];
    const missing = Object.entries(declared.headers)
      .filter(([name, { required }]) => required && headers[name.toLowerCase()] === undefined)
      .map(([name]) => `${where}: no ${name}`);
    const mediaType = (headers['content-type'] ?? '').split(';', 1)[0] ?? '';
    if (declared.content === undefined) return body.length === 0 ? missing : [...missing, `${where}: has a body`];
    const schema = declared.content[mediaType]?.schema;
    if (schema === undefined) return [...missing, `${where}: ${mediaType} is not in the document`];
    if (mediaType !== 'application/json') return missing;
    const validate = this.#validatorOf(schema);
    const value: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    if (validate(value))
      return [...missing, ...undeclaredCode(declared.description, value).map((code) => `${where}: ${code}`)];
    return [...missing, `${where}: ${this.#ajv.errorsText(validate.errors)}`];
  }

  #validatorOf(schema: object): ValidateFunction {
    return this.#ajv.compile(closed(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"api#/'))));
  }
}

const refusal = z.looseObject({ error: z.looseObject({ code: z.string() }) });

/** The code of a refusal that the operation does not name, where it names any for this status. */
function undeclaredCode(description: string, value: unknown): string[] {
  const { data } = refusal.safeParse(value);
  if (data === undefined || !description.includes(' Codes: ') || description.includes(`\`${data.error.code}\``))
    return [];
  return [`the code ${data.error.code} is not in the document`];
}

// The document leaves room for members of later versions; the answers of this one have those that it names and no other.
function closed(schema: object): object {
  return JSON.parse(JSON.stringify(schema), (key, value: unknown) => {
    const isSchema = typeof value === 'object' && value !== null && 'properties' in value && 'type' in value;
    if (!isSchema || key === 'properties' || 'additionalProperties' in value || key === 'RefusalReason') return value;
    return { ...value, additionalProperties: false };
  });
}
