// Which list of roots a reader may follow, and which it must not.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { parseBase64 } from '../bytes.ts';
import { parseJson } from '../json.ts';
import { parseCertificate } from './certificate.ts';
import { validatePath } from './path.ts';
import { followRollovers, type OfferedRoot, rolloverProblems, ROOTS_MAX } from './rollover.ts';
import { serverProfile } from './profile.ts';
import { issueTo, testIssuing, testLinks, testRoot } from './testing-roots.ts';

const period = { notBeforeSeconds: 1_000, notAfterSeconds: 1_000_000 };
const later = { notBeforeSeconds: 500_000, notAfterSeconds: 2_000_000 };
const now = 600_000;
const [first, second, third] = [await testRoot(period), await testRoot(later), await testRoot(later)];
const toSecond = await testLinks(first, second);
const toThird = await testLinks(second, third);
const offeredFirst: OfferedRoot = { certificate: first.certificate, links: undefined };
const offeredSecond: OfferedRoot = { certificate: second.certificate, links: toSecond };
const offeredThird: OfferedRoot = { certificate: third.certificate, links: toThird };
const whole = [offeredFirst, offeredSecond, offeredThird];

function refusal(known: Parameters<typeof followRollovers>[0], offered: readonly OfferedRoot[], at = now): string {
  const result = followRollovers(known, offered, at);
  assert.equal(result.kind, 'refused');
  return result.kind === 'refused' ? result.reasons.join('; ') : '';
}

test('a reader follows every step from the root it knows, also several at once', () => {
  const one = followRollovers([first.certificate], [offeredFirst, offeredSecond], now);
  assert.deepEqual(one, { kind: 'extended', roots: [first.certificate, second.certificate] });
  const two = followRollovers([first.certificate], whole, now);
  assert.deepEqual(two, { kind: 'extended', roots: [first.certificate, second.certificate, third.certificate] });
  const known = [second.certificate];
  assert.deepEqual(followRollovers(known, [offeredFirst, offeredSecond], now), { kind: 'unchanged', roots: known });
});

// SECURITY.md: HUB-20
test('a new root that the issuing CA introduced instead of the root is refused', async () => {
  const issuing = await testIssuing(first, period);
  const links = await testLinks(first, second, { oldSigner: issuing.signer });
  const forged = { certificate: second.certificate, links };
  assert.match(refusal([first.certificate], [offeredFirst, forged]), /NewWithOld was not signed by the old root/);
});

test('a new root that only introduces itself is refused', async () => {
  const links = await testLinks(first, second, { oldSigner: second.signer });
  const forged = { certificate: second.certificate, links };
  assert.match(refusal([first.certificate], [offeredFirst, forged]), /NewWithOld was not signed/);
});

test('a new root that does not vouch for the old one is refused', async () => {
  const links = await testLinks(first, second, { newSigner: third.signer });
  const forged = { certificate: second.certificate, links };
  assert.match(refusal([first.certificate], [offeredFirst, forged]), /OldWithNew was not signed by the new root/);
});

test('links of another roll-over are refused', () => {
  const swapped = { certificate: third.certificate, links: toSecond };
  assert.match(refusal([first.certificate], [offeredFirst, swapped]), /NewWithOld is about another key/);
});

// SECURITY.md: HUB-20
test('a list that was rolled back, reordered, or leaves a known root out is refused', () => {
  const known = [first.certificate, second.certificate];
  assert.match(refusal(known, [offeredFirst]), /rolled back/);
  assert.match(refusal(known, []), /rolled back/);
  assert.match(refusal(known, [offeredSecond, offeredFirst]), /not in this order/);
  assert.match(refusal(known, [offeredSecond]), /not in this order/);
  assert.match(refusal([first.certificate], [offeredFirst, offeredThird, offeredSecond]), /step 1/);
});

// SECURITY.md: HUB-20
test('a root whose successor is known introduces nobody else', async () => {
  const other = await testRoot(later);
  const forged = { certificate: other.certificate, links: await testLinks(first, other) };
  const known = [first.certificate, second.certificate];
  assert.match(refusal(known, [offeredFirst, forged]), /rolled back/);
  assert.match(refusal(known, [offeredFirst, forged, offeredSecond]), /not in this order/);
  // The newest root must be certified by the one before it.
  assert.match(refusal(known, [offeredFirst, offeredSecond, forged]), /not signed by the old root/);
});

test('nothing of a list is taken when a later step of it does not hold', () => {
  const broken = { certificate: third.certificate, links: undefined };
  assert.match(refusal([first.certificate], [offeredFirst, offeredSecond, broken]), /step 2: the links/);
});

test('a root under another name, with the same key or outside its period is refused', async () => {
  const named = await testRoot(later, 'Other root');
  const problems = rolloverProblems(first.certificate, named.certificate, await testLinks(first, named), now);
  assert.ok(problems.includes('the new root has another name than the old one'));
  const again = rolloverProblems(first.certificate, first.certificate, await testLinks(first, first), now);
  assert.ok(again.includes('the new root has the key of the old one'));
  assert.match(refusal([first.certificate], [offeredFirst, offeredSecond], 499_999), /outside its period/);
  assert.match(refusal([first.certificate], [offeredFirst, offeredSecond], 1_000_001), /the old root is outside/);
});

test('an end entity or an issuing CA cannot pass for a new root', async () => {
  const issuing = await testIssuing(first, later);
  const links = await testLinks(first, issuing);
  assert.match(
    refusal([first.certificate], [offeredFirst, { certificate: issuing.certificate, links }]),
    /not an authority/,
  );
});

test('a list that is too long or has a root twice is refused', () => {
  const known = [first.certificate];
  assert.match(
    refusal(
      known,
      Array.from({ length: ROOTS_MAX + 1 }, () => offeredFirst),
    ),
    /at most 32/,
  );
  assert.match(refusal(known, [offeredFirst, offeredSecond, offeredSecond]), /twice/);
});

test('no bit of a link can change without a refusal', () => {
  const { der } = toSecond.newWithOld;
  for (let at = 0; at < der.length; at += 7) {
    const spoiled = Uint8Array.from(der);
    spoiled[at] = (spoiled[at] ?? 0) ^ 1;
    let newWithOld;
    try {
      newWithOld = parseCertificate(spoiled);
    } catch {
      continue;
    }
    const links = { ...toSecond, newWithOld };
    assert.notDeepEqual(rolloverProblems(first.certificate, second.certificate, links, now), [], `byte ${at}`);
  }
});

test('a reader that knows only the first root validates a server under the third by the links alone', async () => {
  const issuing = await testIssuing(third, later);
  const input = { spki: issuing.certificate.spki, serialRandom: new Uint8Array(16), ...later };
  const template = serverProfile(input, issuing.certificate, { dnsNames: ['hub'], ipAddresses: [] });
  const path = {
    leaf: await issueTo(template, issuing.signer),
    intermediates: [issuing.certificate, toThird.newWithOld, toSecond.newWithOld],
    atSeconds: now,
    purpose: 'tls-server',
  } as const;
  assert.equal(validatePath({ ...path, anchors: [first.certificate] }).kind, 'valid');
  assert.equal(validatePath({ ...path, anchors: [third.certificate] }).kind, 'valid');
});

const folder = new URL('../../../spec/vectors/identity/rollover/', import.meta.url);
const certificates = z.string().transform((text) => parseCertificate(parseBase64(text, 'vector')));
const schema = z.strictObject({
  comment: z.string(),
  atSeconds: z.int(),
  known: z.array(certificates),
  offered: z.array(
    z.strictObject({
      certificate: certificates,
      links: z.optional(z.strictObject({ newWithOld: certificates, oldWithNew: certificates })),
    }),
  ),
  outcome: z.string(),
});

for (const name of readdirSync(folder)) {
  const { comment, known, offered, atSeconds, outcome } = parseJson(readFileSync(new URL(name, folder)), schema, name);
  test(`roll-over vector ${name}: ${comment}`, () => {
    const list = offered.map(({ certificate, links }) => ({ certificate, links }));
    const result = followRollovers(known, list, atSeconds);
    if (result.kind === 'refused') assert.match(result.reasons.join('; '), new RegExp(outcome));
    else assert.equal(result.kind, outcome);
  });
}
