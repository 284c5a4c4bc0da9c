import { deepEqual, ok, throws } from 'node:assert/strict';
import { createHash, createPublicKey } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { z } from 'zod';
import { parseBase64, utf8 } from '../../bytes.ts';
import { parseCertificate } from '../../identity/certificate.ts';
import { parsePem } from '../../identity/pem.ts';
import { parseJson } from '../../json.ts';
import { compareDigests, type HashJob, ignoredWhileVerifying, planVerification } from './compare.ts';
import { fileHashes } from './serialization.ts';
import { type SignatureTrust, verifyBundle } from './verify.ts';

const folder = new URL('../../../../spec/vectors/model/signature/', import.meta.url);

const vectorSchema = z.strictObject({
  comment: z.string(),
  source: z.string().optional(),
  bundle: z.string(),
  trust: z.union([
    z.strictObject({ publicKeys: z.array(z.string()) }),
    z.strictObject({ roots: z.array(z.string()), atSeconds: z.int() }),
  ]),
  model: z.strictObject({
    kind: z.enum(['folder', 'file']),
    name: z.string(),
    files: z.record(z.string(), z.strictObject({ base64: z.string() })),
  }),
  ignorePaths: z.array(z.string()).optional(),
  ignoreUnsignedFiles: z.boolean().optional(),
  reasons: z.array(z.string()).optional(),
  error: z.string().optional(),
});
type Vector = z.infer<typeof vectorSchema>;

function vectors(kind: 'valid' | 'invalid'): readonly (readonly [string, Vector])[] {
  return readdirSync(new URL(`${kind}/`, folder)).map((name) => {
    const bytes = readFileSync(new URL(`${kind}/${name}`, folder));
    return [name.replace('.json', ''), parseJson(bytes, vectorSchema, name)];
  });
}

function trustOf({ trust }: Vector): SignatureTrust {
  if ('publicKeys' in trust) return { kind: 'keys', keys: trust.publicKeys.map((pem) => createPublicKey(pem)) };
  const anchors = trust.roots.flatMap((pem) => parsePem(pem, 'CERTIFICATE')).map(parseCertificate);
  return { kind: 'certificates', anchors, atSeconds: trust.atSeconds };
}

function filesOf({ model }: Vector): ReadonlyMap<string, Uint8Array> {
  return new Map(Object.entries(model.files).map(([path, { base64 }]) => [path, parseBase64(base64, path)]));
}

function digestOf(files: ReadonlyMap<string, Uint8Array>, { path, range, hash }: HashJob): string {
  const bytes = files.get(path)?.subarray(range?.start, range?.end) ?? new Uint8Array();
  return createHash(fileHashes[hash].node).update(bytes).digest('hex');
}

function reasonsFor(vector: Vector, bundle: Uint8Array): readonly string[] {
  const verdict = verifyBundle(bundle, trustOf(vector));
  if (verdict.kind === 'refused') return verdict.reasons.map(({ code }) => code);
  const files = filesOf(vector);
  const entries = [...files].map(([path, { length }]) => ({ path, kind: 'file', size: length }) as const);
  const ignorePaths = ignoredWhileVerifying(verdict.statement, vector.ignorePaths ?? []);
  const options = { ignorePaths, ignoreUnsignedFiles: vector.ignoreUnsignedFiles ?? false };
  const plan = planVerification(verdict.statement, { ...vector.model, entries }, options);
  const digests = plan.jobs.map((job) => digestOf(files, job));
  return [...plan.reasons, ...compareDigests(plan.jobs, digests)].map(({ code }) => code);
}

suite('model signature vectors', () => {
  for (const [name, vector] of vectors('valid')) {
    test(`${name} verifies: ${vector.comment}`, () => deepEqual(reasonsFor(vector, utf8(vector.bundle)), []));
  }
  for (const [name, vector] of vectors('invalid')) {
    const { reasons, error } = vector;
    test(`${name} does not: ${vector.comment}`, () => {
      if (error !== undefined)
        throws(() => reasonsFor(vector, utf8(vector.bundle)), { name: 'CoreError', code: error });
      else deepEqual(reasonsFor(vector, utf8(vector.bundle)), reasons);
    });
  }
  test('there are vectors of both kinds', () => {
    ok(vectors('valid').length >= 30 && vectors('invalid').length >= 70);
  });
});
