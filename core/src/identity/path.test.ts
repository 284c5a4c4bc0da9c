import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { parseBase64 } from '../bytes.ts';
import { parseJson } from '../json.ts';
import { signerFromKey } from '../signer.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { commonNameOnly } from './distinguished-name.ts';
import { validateEndorsement } from './endorsement.ts';
import { basicConstraints } from './extensions.ts';
import { issueCertificate } from './issue.ts';
import { INTERMEDIATES_MAX, validatePath } from './path.ts';
import { encodeSpki } from './public-key.ts';

const folder = new URL('../../../spec/vectors/identity/paths/', import.meta.url);
const schema = z.strictObject({
  comment: z.string(),
  atSeconds: z.int(),
  purpose: z.enum(['tls-client', 'tls-server', 'code-signing', 'endorsement-key', 'any']),
  leaf: z.string(),
  intermediates: z.array(z.string()),
  anchors: z.array(z.string()),
  outcome: z.string(),
  chainLength: z.optional(z.int()),
});

const load = (name: string) => parseJson(readFileSync(new URL(name, folder)), schema, name);
const certificateOf = (text: string) => parseCertificate(parseBase64(text, 'vector'));

function inputOf(name: string) {
  const vector = load(name);
  const { atSeconds, purpose } = vector;
  return {
    leaf: certificateOf(vector.leaf),
    intermediates: vector.intermediates.map(certificateOf),
    anchors: vector.anchors.map(certificateOf),
    atSeconds,
    purpose,
  };
}

for (const name of readdirSync(folder)) {
  const { comment, outcome, chainLength, purpose } = load(name);
  test(`path vector ${name}: ${comment}`, () => {
    const input = inputOf(name);
    const result = purpose === 'endorsement-key' ? validateEndorsement(input) : validatePath(input);
    if (outcome === 'valid') {
      assert.ok(result.kind === 'valid', result.kind === 'refused' ? result.reasons.join('; ') : '');
      assert.equal(result.chain.length, chainLength);
      assert.equal(result.chain[0], input.leaf);
    } else {
      assert.ok(result.kind === 'refused');
      assert.match(result.reasons.join('; '), new RegExp(outcome));
    }
  });
}

test('no byte of a signed chain can change without a refusal', () => {
  const input = inputOf('valid.json');
  for (const which of ['leaf', 'issuing'] as const) {
    const original = which === 'leaf' ? input.leaf.der : (input.intermediates[0]?.der ?? new Uint8Array(0));
    for (let at = 0; at < original.length; at++) {
      const changed = Uint8Array.from(original);
      changed[at] = (changed[at] ?? 0) ^ 0x01;
      const certificate = parsedOrNothing(changed);
      if (certificate === undefined) continue;
      const attempt = which === 'leaf' ? { ...input, leaf: certificate } : { ...input, intermediates: [certificate] };
      assert.equal(validatePath(attempt).kind, 'refused', `${which} byte ${at}`);
    }
  }
});

function parsedOrNothing(bytes: Uint8Array): Certificate | undefined {
  try {
    return parseCertificate(bytes);
  } catch {
    return undefined;
  }
}

test('too many intermediates are refused before any work', () => {
  const input = inputOf('valid.json');
  const intermediates = Array.from({ length: INTERMEDIATES_MAX + 1 }, () => input.leaf);
  assert.equal(validatePath({ ...input, intermediates }).kind, 'refused');
});

test('a maze of authorities with one name and many keys ends in a refusal', async () => {
  const name = commonNameOnly('maze');
  const keys = Array.from({ length: 6 }, () => generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  const issue = async (subject: number, issuer: number) => {
    const [mine, theirs] = [keys[subject], keys[issuer]];
    assert.ok(mine !== undefined && theirs !== undefined);
    const template = {
      issuer: name,
      subject: name,
      spki: encodeSpki(mine.publicKey),
      serialRandom: new Uint8Array(16),
      notBeforeSeconds: 0,
      notAfterSeconds: 2_000_000_000,
      extensions: [basicConstraints(true)],
    };
    return parseCertificate(await issueCertificate(template, signerFromKey(theirs.privateKey)));
  };
  const pairs = keys
    .flatMap((_, from) => keys.map((_key, to) => [from, to] as const))
    .filter(([from, to]) => from !== to);
  const intermediates = await Promise.all(pairs.map(([from, to]) => issue(from, to)));
  const leaf = await issue(0, 1);
  const result = validatePath({ leaf, intermediates, anchors: [], atSeconds: 1, purpose: 'any' });
  assert.ok(result.kind === 'refused');
  assert.match(result.reasons.join('; '), /no path within 64 signature checks/);
});

test('an endorsement certificate gives manufacturer, model and version', () => {
  const result = validateEndorsement(inputOf('valid-ek-rsa.json'));
  assert.ok(result.kind === 'valid');
  assert.deepEqual(result.tpm, { manufacturer: 'id:49465800', model: 'SLB9670', version: 'id:000D000D' });
});

test('a device certificate is not taken for an endorsement certificate', () => {
  assert.equal(validateEndorsement(inputOf('valid.json')).kind, 'refused');
});
