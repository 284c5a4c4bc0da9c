// Attributes of a device (spec/registry.md, "Attributes"): a JSON document whose leaves a filter can name.
import { z } from 'zod';

/** A document is sent with every change and kept twice for each device. */
export const attributesBytesMost = 16_384;
/** Objects and lists included. Each leaf is a row that queries look up. */
export const attributeValuesMost = 256;
export const attributeDepthMost = 6;

/** Of a key in a document and of a tag: what can stand in a filter without quotes. */
export const attributeKeyPattern = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;

/** A JSON object whose keys can stand in a filter: bounded in bytes, depth and number of values. */
export const attributesSchema = z.record(z.string(), z.unknown()).superRefine((value, context) => {
  const message = attributesProblem(value);
  if (message !== undefined) context.addIssue({ code: 'custom', message });
});
export type Attributes = z.infer<typeof attributesSchema>;

function attributesProblem(value: Attributes): string | undefined {
  // The walk is bounded by depth before anything else looks at the document.
  const problem = valueProblem(value, attributeDepthMost, { values: 0 });
  if (problem !== undefined) return problem;
  const { length } = new TextEncoder().encode(JSON.stringify(value));
  return length <= attributesBytesMost ? undefined : `${length} bytes of JSON, at most ${attributesBytesMost}`;
}

function valueProblem(value: unknown, depthLeft: number, count: { values: number }): string | undefined {
  count.values += 1;
  if (count.values > attributeValuesMost) return `more than ${attributeValuesMost} values`;
  if (typeof value !== 'object' || value === null) return undefined;
  if (depthLeft === 0) return `nested deeper than ${attributeDepthMost}`;
  for (const [key, member] of Object.entries(value)) {
    if (!Array.isArray(value) && !attributeKeyPattern.test(key))
      return `the key ${JSON.stringify(key.slice(0, 80))} is not ${attributeKeyPattern.source}`;
    const problem = valueProblem(member, depthLeft - 1, count);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
