// For tests: the vectors of spec/vectors/dice, found by listing their folders.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../../json.ts';

const folder = join(import.meta.dirname, '../../../../spec/vectors/dice');

const tcbInfoSchema = z.strictObject({
  comment: z.string(),
  kind: z.enum(['one', 'multi']),
  der: z.string(),
  outcome: z.string(),
  expected: z.array(z.record(z.string(), z.unknown())).optional(),
});

const chainSchema = z.strictObject({
  comment: z.string(),
  certificates: z.array(z.string()),
  anchors: z.array(z.string()),
  atSeconds: z.number(),
  outcome: z.string(),
  layers: z.array(z.strictObject({ layer: z.int(), index: z.int(), fwids: z.array(z.string()) })).optional(),
});

const sealingSchema = z.strictObject({
  comment: z.string(),
  kind: z.enum(['p-256', 'p-384', 'p-521', 'ed25519']),
  secret: z.string(),
  sealingScalar: z.string(),
  sealingKey: z.string(),
});

export type SealingVector = z.infer<typeof sealingSchema> & { readonly file: string };
export type TcbInfoVector = z.infer<typeof tcbInfoSchema> & { readonly file: string };
export type ChainVector = z.infer<typeof chainSchema> & { readonly file: string };

export function tcbInfoVectors(): readonly TcbInfoVector[] {
  const at = join(folder, 'tcb-info');
  return readdirSync(at).map((file) => ({ ...parseJson(readFileSync(join(at, file)), tcbInfoSchema, file), file }));
}

export function sealingVectors(): readonly SealingVector[] {
  const at = join(folder, 'sealing-key');
  return readdirSync(at).map((file) => ({ ...parseJson(readFileSync(join(at, file)), sealingSchema, file), file }));
}

export function chainVectors(): readonly ChainVector[] {
  const at = join(folder, 'chains');
  return readdirSync(at).map((file) => ({ ...parseJson(readFileSync(join(at, file)), chainSchema, file), file }));
}
