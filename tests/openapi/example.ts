// An answer that an OpenAPI document allows, with a text of the caller's choice wherever it allows any text.
import { z } from 'zod';

const schemaObject = z.looseObject({
  $ref: z.string().optional(),
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  type: z.union([z.string(), z.array(z.string())]).optional(),
  format: z.string().optional(),
  pattern: z.string().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  additionalProperties: z.unknown().optional(),
  items: z.unknown().optional(),
  anyOf: z.array(z.unknown()).optional(),
  oneOf: z.array(z.unknown()).optional(),
  allOf: z.array(z.unknown()).optional(),
});

// For texts of a given form: ids, digests, versions, times, keys.
const formed = [
  'press-7',
  'a'.repeat(64),
  'a'.repeat(40),
  'a'.repeat(16),
  '1.0.0',
  '203.0.113.0/24',
  'AT',
  'devices',
  'AAAA',
];

export function exampleOf(
  schema: unknown,
  schemas: Readonly<Record<string, unknown>>,
  text: string,
  depth = 0,
): unknown {
  const { $ref, enum: words, anyOf, oneOf, allOf, ...given } = schemaObject.parse(schema);
  const of = (each: unknown) => exampleOf(each, schemas, text, depth + 1);
  if ($ref !== undefined) return of(schemas[$ref.slice($ref.lastIndexOf('/') + 1)]);
  if ('const' in given) return given.const;
  if (words !== undefined) return words[0];
  const choices = anyOf ?? oneOf;
  if (choices !== undefined) return of(choices[0]);
  if (allOf !== undefined) return Object.assign({}, ...allOf.map(of));
  switch (given.type) {
    case 'string':
      return textOf(given, text);
    case 'integer':
    case 'number':
      return 1_800_000_000_000;
    case 'boolean':
      return true;
    case 'array':
      return depth > 12 ? [] : [of(given.items ?? {})];
    case 'object': {
      const members = Object.entries(given.properties ?? {}).map(([name, each]) => [name, of(each)]);
      const rest = typeof given.additionalProperties === 'object' ? [[text, of(given.additionalProperties)]] : [];
      return Object.fromEntries([...members, ...rest]);
    }
    default:
      return text;
  }
}

function textOf({ pattern, format }: z.infer<typeof schemaObject>, text: string): string {
  if (format === 'uuid') return '3a6610b9-c601-4ea5-b345-1b24578796b4';
  if (pattern === undefined) return text;
  const expression = new RegExp(pattern, 'u');
  return [text, ...formed].find((each) => expression.test(each)) ?? text;
}
