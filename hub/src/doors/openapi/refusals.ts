// The one envelope of refusals, once for each status, with the closed list of its codes (docs/errors.md).
import { hubErrorCodes } from '../../common/declarations.ts';
import type { JsonSchema } from './schema-book.ts';

export function refusalName(status: number): string {
  return `Refusal${status}`;
}

/** By name, for these statuses. */
export function refusalSchemas(statuses: ReadonlySet<number>): Record<string, JsonSchema> {
  const codesOf = new Map<number, string[]>();
  for (const [code, status] of Object.entries(hubErrorCodes))
    codesOf.set(status, [...(codesOf.get(status) ?? []), code]);
  const schemas = [...codesOf]
    .filter(([status]) => statuses.has(status))
    .map(([status, codes]): [string, JsonSchema] => [refusalName(status), envelope(codes)]);
  return { ...Object.fromEntries(schemas), RefusalReason: reason };
}

const reason: JsonSchema = {
  type: 'object',
  description: 'Why, in words that an operator can act on; further members depend on the code.',
  required: ['code', 'message'],
  properties: { code: { type: 'string' }, message: { type: 'string' } },
};

function envelope(codes: readonly string[]): JsonSchema {
  return {
    type: 'object',
    required: ['error'],
    properties: {
      error: {
        type: 'object',
        required: ['code', 'message', 'reasons'],
        properties: {
          code: { type: 'string', enum: codes.toSorted() },
          message: { type: 'string' },
          reasons: { type: 'array', items: { $ref: '#/components/schemas/RefusalReason' } },
          attestationResult: {
            type: 'string',
            description: 'The signed result of the appraisal, where there was one.',
          },
        },
      },
    },
  };
}
