// Every vector of spec/vectors/authority/key-list, made by key_list.py beside them: one outcome each, and each refusal for its own reason.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { parseVerifierKey } from '../audit/note.ts';
import { utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseCertificate } from '../identity/certificate.ts';
import { parsePem } from '../identity/pem.ts';
import { followKeyList, type PinnedKeys } from './key-list-follow.ts';
import { openKeyList } from './key-list.ts';

const folder = join(import.meta.dirname, '../../../spec/vectors/authority/key-list');
const schema = z.strictObject({
  comment: z.string().min(1),
  roots: z.string(),
  pinned: z.string(),
  known: z.string().nullable(),
  now: z.int(),
  list: z.string(),
  expect: z.string(),
});

/** What the refusal of a vector must say, by its name. */
const reasons: Readonly<Record<string, RegExp>> = {
  'no-root': /^no root .* is trusted here$/,
  'other-root-key': /^the root did not sign this key list$/,
  'other-context': /^the root did not sign this key list$/,
  'rolled-back': /rolled back/,
  'same-number': /two different lists with the number 2/,
  'other-hub': /the list of another hub/,
  'key-missing': /the attestation-result key .* is missing/,
  'other-purpose': /has another purpose: backup/,
  'other-origin': /has another origin/,
  'other-beginning': /has another beginning/,
  'later-end': /ends later than before/,
  'end-taken-back': /ends later than before/,
  'theft-taken-back': /was compromised and is not any more/,
  future: /dated in the future/,
  'too-old': /too old/,
  'too-long': /more than 1096 days/,
  'not-pinned': /does not contain the log key that was delivered/,
};

interface Outcome {
  readonly kind: string;
  readonly reasons?: readonly string[];
}

function outcomeOf({ roots: pem, pinned, known, now, list }: z.infer<typeof schema>): Outcome {
  const roots = parsePem(pem, 'CERTIFICATE').map(parseCertificate);
  try {
    const offered = openKeyList(utf8(list), roots);
    if (offered.kind === 'refused') return offered;
    return followKeyList(known === null ? pinnedOf(pinned) : openedOf(known, roots), offered, now);
  } catch (error) {
    if (error instanceof CoreError) return { kind: error.code };
    throw error;
  }
}

function openedOf(text: string, roots: Parameters<typeof openKeyList>[1]) {
  const opened = openKeyList(utf8(text), roots);
  assert.ok(opened.kind === 'verified');
  return opened;
}

function pinnedOf(text: string): PinnedKeys {
  const { name: origin, publicKey } = parseVerifierKey(text);
  const always = { fromSeconds: 0, untilSeconds: undefined, compromised: false };
  return { number: 0, keys: [{ purpose: 'log', publicKey, origin, ...always }] };
}

const names = readdirSync(folder).map((file) => file.replace(/\.json$/, ''));

for (const name of names) {
  test(`key list vector ${name}`, () => {
    const vector = schema.parse(JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')));
    const outcome = outcomeOf(vector);
    assert.equal(outcome.kind, vector.expect, `${vector.comment}: ${outcome.reasons?.join('; ')}`);
    if (outcome.kind !== 'refused') return;
    assert.match(outcome.reasons?.join('; ') ?? '', reasons[name.replace(/^refused-/, '')] ?? assert.fail(name));
  });
}

test('each refusal has a vector', () => {
  const refusals = names.filter((name) => name.startsWith('refused-')).map((name) => name.slice('refused-'.length));
  assert.deepEqual(refusals.toSorted(), Object.keys(reasons).toSorted());
});
