// For tests: the vectors of spec/vectors/attest, found by listing their folders.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z, type ZodType } from 'zod';
import { parseBase64 } from '../bytes.ts';
import { parseCertificate } from '../identity/certificate.ts';
import { parseJson } from '../json.ts';

const folder = join(import.meta.dirname, '../../../spec/vectors/attest');

export type VectorKind = 'event-log' | 'ima-log' | 'reference-values' | 'evidence' | 'result';

/** Vendors' roots and the moment of a vector with DICE evidence. */
export const diceVectorSchema = z
  .object({ anchors: z.array(z.string()), atSeconds: z.number() })
  .transform(({ anchors, atSeconds }) => ({
    trust: { anchors: anchors.map((text) => parseCertificate(parseBase64(text, 'anchor'))), intermediates: [] },
    atSeconds,
  }));

/** When a result is accepted, in the form of the vectors: their members keep the names under which they were published. */
export const vectorWindowSchema = z
  .object({ nowSeconds: z.number(), ageSecondsMax: z.number(), skewSecondsMax: z.number() })
  .transform(({ nowSeconds, ageSecondsMax: maxAgeSeconds, skewSecondsMax: maxSkewSeconds }) => ({
    nowSeconds,
    maxAgeSeconds,
    maxSkewSeconds,
  }));

/** All vectors of a kind, each with its file name. Throws when there are none. */
export function vectorsOf<T>(
  kind: VectorKind,
  validity: 'valid' | 'invalid',
  schema: ZodType<T>,
): readonly (T & { readonly file: string })[] {
  const files = readdirSync(join(folder, kind, validity)).sort();
  if (files.length === 0) throw new Error(`no vectors in ${kind}/${validity}`);
  return files.map((file) => ({ ...parseJson(readFileSync(join(folder, kind, validity, file)), schema, file), file }));
}
