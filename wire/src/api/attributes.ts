// Attributes of a device (spec/registry.md, "Attributes"): a JSON document whose leaves a filter can name.
import { textProblem } from '@edgekeep/core/canonical/text';
import { z } from 'zod';

/** A document is sent with every change and stored twice for each device. */
const ATTRIBUTES_BYTES_MAX = 16_384;
/** Including objects and lists. Each leaf is a row that queries look up. */
const ATTRIBUTE_VALUES_MAX = 256;
const ATTRIBUTE_DEPTH_MAX = 6;

/** Characters of a key in a document or a tag: those that a filter allows without quotes. */
export const attributeKeyPattern = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;

/** A stored document: a JSON object whose keys are allowed in a filter, limited in bytes, depth and number of values. */
export const keptAttributesSchema = z.record(z.string(), z.unknown()).superRefine((value, context) => {
  const message = attributesProblem(value);
  if (message !== undefined) context.addIssue({ code: 'custom', message });
});
export type Attributes = z.infer<typeof keptAttributesSchema>;

/** Desired attributes: texts with hidden characters are refused, the others are returned in normal form C. */
export const attributesSchema = keptAttributesSchema
  .superRefine((value, context) => {
    for (const text of textsOf(value)) {
      const message = textProblem(text, { lines: true });
      if (message === undefined) continue;
      context.addIssue({ code: 'custom', message });
      return;
    }
  })
  .transform((value) => mapObject(value, (text) => text.normalize('NFC')));

/** Reported attributes: the device's firmware wrote some of the texts, so hidden characters are replaced, not refused. */
export const reportedAttributesSchema = keptAttributesSchema.transform((value) => mapObject(value, shownText));

const REPLACEMENT = '\ufffd';

function shownText(text: string): string {
  const whole = text.toWellFormed().normalize('NFC');
  if (textProblem(whole, { lines: true }) === undefined) return whole;
  return Array.from(whole, (each) => (textProblem(each, { lines: true }) === undefined ? each : REPLACEMENT)).join('');
}

function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

function mapObject(value: Attributes, change: (text: string) => string): Attributes {
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, mapTexts(member, change)]));
}

function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((member: unknown) => mapTexts(member, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, mapTexts(member, change)]));
}

function attributesProblem(value: Attributes): string | undefined {
  // The walk has a depth limit, before any other code reads the document.
  const problem = valueProblem(value, ATTRIBUTE_DEPTH_MAX, { values: 0 });
  if (problem !== undefined) return problem;
  const { length } = new TextEncoder().encode(JSON.stringify(value));
  return length <= ATTRIBUTES_BYTES_MAX ? undefined : `${length} bytes of JSON, at most ${ATTRIBUTES_BYTES_MAX}`;
}

function valueProblem(value: unknown, depthLeft: number, count: { values: number }): string | undefined {
  count.values += 1;
  if (count.values > ATTRIBUTE_VALUES_MAX) return `more than ${ATTRIBUTE_VALUES_MAX} values`;
  if (typeof value !== 'object' || value === null) return undefined;
  if (depthLeft === 0) return `nested deeper than ${ATTRIBUTE_DEPTH_MAX}`;
  for (const [key, member] of Object.entries(value)) {
    if (!Array.isArray(value) && !attributeKeyPattern.test(key))
      return `the key ${JSON.stringify(key.slice(0, 80))} is not ${attributeKeyPattern.source}`;
    const problem = valueProblem(member, depthLeft - 1, count);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
