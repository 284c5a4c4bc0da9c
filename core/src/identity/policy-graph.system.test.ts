// Certificate policies (RFC 5280 section 6.1), chain by chain, with OpenSSL as oracle: the situations of PKITS sections 4.8 to 4.12, and
// random chains. PKITS itself is not in this repository.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import { contextTag, derBoolean, derInteger, derOid, derSequence, derValue } from '../der.ts';
import { parseForeignCertificate } from './certificate.ts';
import { authorityKeyIdentifier, subjectKeyIdentifier } from './extensions.ts';
import { anyPolicyOid, extensionOid } from './oid.ts';
import { validatePath } from './path.ts';
import { encodePem } from './pem.ts';
import type { PolicyRules } from './policy-graph.ts';
import {
  authorityExtensions,
  encodeExtension,
  foreignCertificate,
  foreignKey,
  foreignNowSeconds,
  foreignRoot,
  leafExtensions,
  nameOf,
  rawExtension,
} from './testing-foreign.ts';

const found = spawnSync('openssl', ['version']).error === undefined || process.env['CI'] === 'true';
const skip = found ? false : 'openssl is not installed';
const folder = mkdtempSync(join(tmpdir(), 'edgekeep-policies-'));
after(() => rmSync(folder, { recursive: true }));

/** The policies of one certificate: their names, `any` for every one. */
interface Link {
  readonly policies?: readonly string[];
  readonly mappings?: readonly (readonly [issuer: string, subject: string])[];
  readonly requireExplicit?: number;
  readonly inhibitMapping?: number;
  readonly inhibitAny?: number;
  /** Has its issuer's name: a self-issued certificate does not count. */
  readonly selfIssued?: boolean;
}

const oidOf = (policy: string) => (policy === 'any' ? anyPolicyOid : `1.3.6.1.4.1.99999.1.${policy.slice(1)}`);

function extensionsOf({
  policies,
  mappings,
  requireExplicit,
  inhibitMapping,
  inhibitAny,
}: Link): readonly Uint8Array[] {
  const raw = (oid: string, value: Uint8Array) => rawExtension(oid, derBoolean(true), value);
  const field = (number: number, value: number | undefined) =>
    value === undefined ? [] : [derValue(contextTag(number, false), Uint8Array.of(value))];
  const constraints = [...field(0, requireExplicit), ...field(1, inhibitMapping)];
  const pairs = (mappings ?? []).map(([a, b]) => derSequence(derOid(oidOf(a)), derOid(oidOf(b))));
  return [
    ...(policies === undefined || policies.length === 0
      ? []
      : [raw(extensionOid.certificatePolicies, derSequence(...policies.map((p) => derSequence(derOid(oidOf(p))))))]),
    ...(pairs.length === 0 ? [] : [raw(extensionOid.policyMappings, derSequence(...pairs))]),
    ...(constraints.length === 0 ? [] : [raw(extensionOid.policyConstraints, derSequence(...constraints))]),
    ...(inhibitAny === undefined ? [] : [raw(extensionOid.inhibitAnyPolicy, derInteger(inhibitAny))]),
  ];
}

// One key for each place: a self-issued certificate is one for another key.
const keys = Array.from({ length: 5 }, () => generateKeyPairSync('ec', { namedCurve: 'P-256' }));
const identifier = (at: number) => Uint8Array.of(0x5a, at);

/** From the certificate below the root to the leaf, as DER. */
function chainOf(links: readonly Link[]): readonly Uint8Array[] {
  let issuer = 'root';
  return links.map((link, at) => {
    const last = at === links.length - 1;
    const subject = link.selfIssued === true ? issuer : last ? 'leaf' : `authority ${at}`;
    const ids = [
      encodeExtension(subjectKeyIdentifier(identifier(at))),
      ...(at === 0 ? [] : [encodeExtension(authorityKeyIdentifier(identifier(at - 1)))]),
    ];
    const own = keys[at];
    assert.ok(own !== undefined);
    const der = foreignCertificate({
      serial: derInteger(at + 1),
      issuer: nameOf(issuer),
      subject: nameOf(subject),
      spki: own.publicKey.export({ format: 'der', type: 'spki' }),
      extensions: [...(last ? leafExtensions : authorityExtensions), ...ids, ...extensionsOf(link)],
      signer: keys[at - 1]?.privateKey ?? foreignKey.privateKey,
    });
    issuer = subject;
    return der;
  });
}

function opensslSays(ders: readonly Uint8Array[], rules: PolicyRules): boolean {
  const write = (name: string, some: readonly Uint8Array[]) => {
    writeFileSync(join(folder, name), some.map((der) => encodePem('CERTIFICATE', der)).join(''));
    return join(folder, name);
  };
  const acceptable = rules.initialPolicies ?? [anyPolicyOid];
  const args = [
    'verify',
    '-attime',
    String(foreignNowSeconds),
    '-auth_level',
    '1',
    '-no-CApath',
    '-no-CAstore',
    '-policy_check',
    ...acceptable.flatMap((oid) => ['-policy', oid]),
    ...(rules.requireExplicit === true ? ['-explicit_policy'] : []),
    ...(rules.inhibitMapping === true ? ['-inhibit_map'] : []),
    ...(rules.inhibitAnyPolicy === true ? ['-inhibit_any'] : []),
    '-CAfile',
    write('root.pem', [foreignRoot]),
    ...(ders.length < 2 ? [] : ['-untrusted', write('others.pem', ders.slice(0, -1))]),
    write('leaf.pem', ders.slice(-1)),
  ];
  return spawnSync('openssl', args).status === 0;
}

function ours(ders: readonly Uint8Array[], policies: PolicyRules): boolean {
  const parsed = ders.map((der) => parseForeignCertificate(der));
  const leaf = parsed.at(-1);
  assert.ok(leaf !== undefined);
  const anchors = [parseForeignCertificate(foreignRoot)];
  const intermediates = parsed.slice(0, -1);
  return (
    validatePath({ leaf, intermediates, anchors, atSeconds: foreignNowSeconds, purpose: 'any', policies }).kind ===
    'valid'
  );
}

const only = (...names: readonly string[]): PolicyRules => ({
  requireExplicit: true,
  initialPolicies: names.map(oidOf),
});
const explicit: PolicyRules = { requireExplicit: true };

interface Situation {
  readonly section: string;
  readonly links: readonly Link[];
  readonly rules?: PolicyRules;
  readonly valid: boolean;
}

const situations: Readonly<Record<string, Situation>> = {
  'one policy all along is enough where one is needed': {
    section: '4.8.1',
    links: [{ policies: ['p1'] }, { policies: ['p1'] }],
    rules: explicit,
    valid: true,
  },
  'the policy must be an acceptable one': {
    section: '4.8.1',
    links: [{ policies: ['p1'] }, { policies: ['p1'] }],
    rules: only('p2'),
    valid: false,
  },
  'no policies are fine where none is needed': { section: '4.8.2', links: [{}, {}], valid: true },
  'no policies are not enough where one is needed': {
    section: '4.8.2',
    links: [{}, {}],
    rules: explicit,
    valid: false,
  },
  'a certificate without policies breaks the chain of policies': {
    section: '4.8.3',
    links: [{ policies: ['p1'] }, {}],
    rules: explicit,
    valid: false,
  },
  'two different policies are none in common': {
    section: '4.8.4',
    links: [{ policies: ['p1'] }, { policies: ['p2'] }],
    rules: explicit,
    valid: false,
  },
  'of several policies the common one counts': {
    section: '4.8.6',
    links: [{ policies: ['p1', 'p2', 'p3'] }, { policies: ['p1', 'p2'] }, { policies: ['p1'] }],
    rules: only('p1'),
    valid: true,
  },
  'any policy in an authority takes each of the leaf': {
    section: '4.8.14',
    links: [{ policies: ['any'] }, { policies: ['p1'] }],
    rules: only('p1'),
    valid: true,
  },
  'any policy in an authority gives no other one': {
    section: '4.8.14',
    links: [{ policies: ['any'] }, { policies: ['p1'] }],
    rules: only('p2'),
    valid: false,
  },
  'any policy everywhere is every policy': {
    section: '4.8.11',
    links: [{ policies: ['any'] }, { policies: ['any'] }],
    rules: only('p7'),
    valid: true,
  },
  'an authority that needs a policy at once refuses a leaf without': {
    section: '4.9.3',
    links: [{ policies: ['p1'], requireExplicit: 0 }, {}],
    valid: false,
  },
  'an authority that needs a policy later takes a short path without': {
    section: '4.9.1',
    links: [{ requireExplicit: 5 }, {}, {}],
    valid: true,
  },
  'a need that begins with the leaf counts for the leaf': {
    section: '4.9.5',
    links: [{ policies: ['p1'], requireExplicit: 1 }, { policies: ['p1'] }, {}],
    valid: false,
  },
  'a self-issued authority does not count down to the need': {
    section: '4.9.6',
    links: [{ policies: ['p1'], requireExplicit: 2 }, { policies: ['p1'], selfIssued: true }, {}],
    valid: true,
  },
  'a leaf that needs a policy and has one in common': {
    section: '4.9',
    links: [{ policies: ['p1'] }, { policies: ['p1'], requireExplicit: 0 }],
    valid: true,
  },
  'a policy that is mapped counts by its new name in the leaf': {
    section: '4.10.1',
    links: [{ policies: ['p1'], mappings: [['p1', 'p2']] }, { policies: ['p2'] }],
    rules: only('p1'),
    valid: true,
  },
  'after a mapping the old name counts no more': {
    section: '4.10.2',
    links: [{ policies: ['p1'], mappings: [['p1', 'p2']] }, { policies: ['p1'] }],
    rules: explicit,
    valid: false,
  },
  'the acceptable policies are the ones before the mapping': {
    section: '4.10.1',
    links: [{ policies: ['p1'], mappings: [['p1', 'p2']] }, { policies: ['p2'] }],
    rules: only('p2'),
    valid: false,
  },
  'mappings follow each other': {
    section: '4.10.3',
    links: [
      { policies: ['p1'], mappings: [['p1', 'p2']] },
      { policies: ['p2'], mappings: [['p2', 'p3']] },
      { policies: ['p3'] },
    ],
    rules: only('p1'),
    valid: true,
  },
  'a mapping from any policy is refused': {
    section: '4.10.7',
    links: [{ policies: ['any'], mappings: [['any', 'p1']] }, { policies: ['p1'] }],
    valid: false,
  },
  'a mapping to any policy is refused': {
    section: '4.10.8',
    links: [{ policies: ['p1'], mappings: [['p1', 'any']] }, { policies: ['p1'] }],
    valid: false,
  },
  'a mapping under any policy makes the policy': {
    section: '4.10.11',
    links: [{ policies: ['any'], mappings: [['p1', 'p2']] }, { policies: ['p2'] }],
    rules: only('p1'),
    valid: true,
  },
  'a mapping of a policy that is not there does nothing': {
    section: '4.10.10',
    links: [{ policies: ['p1'], mappings: [['p3', 'p4']] }, { policies: ['p4'] }],
    rules: explicit,
    valid: false,
  },
  'mappings that are inhibited at once take the policy away': {
    section: '4.11.1',
    links: [
      { policies: ['p1'], inhibitMapping: 0 },
      { policies: ['p1'], mappings: [['p1', 'p2']] },
      { policies: ['p2'] },
    ],
    rules: explicit,
    valid: false,
  },
  'mappings that are inhibited later still count': {
    section: '4.11.2',
    links: [
      { policies: ['p1'], inhibitMapping: 1 },
      { policies: ['p1'], mappings: [['p1', 'p2']] },
      { policies: ['p2'] },
    ],
    rules: explicit,
    valid: true,
  },
  'mappings that the caller inhibits': {
    section: '4.11',
    links: [{ policies: ['p1'], mappings: [['p1', 'p2']] }, { policies: ['p2'] }],
    rules: { ...explicit, inhibitMapping: true },
    valid: false,
  },
  'a self-issued authority does not count down to inhibited mappings': {
    section: '4.11.7',
    links: [
      { policies: ['p1'], inhibitMapping: 1 },
      { policies: ['p1'], selfIssued: true },
      { policies: ['p1'], mappings: [['p1', 'p2']] },
      { policies: ['p2'] },
    ],
    rules: explicit,
    valid: true,
  },
  'any policy that is inhibited at once counts no more': {
    section: '4.12.1',
    links: [{ policies: ['any'], inhibitAny: 0 }, { policies: ['any'] }],
    rules: explicit,
    valid: false,
  },
  'any policy that is inhibited takes nothing from a policy by name': {
    section: '4.12.2',
    links: [{ policies: ['any'], inhibitAny: 0 }, { policies: ['p1'] }],
    rules: explicit,
    valid: true,
  },
  'any policy that is inhibited later still counts': {
    section: '4.12.3',
    links: [{ policies: ['any'], inhibitAny: 1 }, { policies: ['any'] }, { policies: ['p1'] }],
    rules: explicit,
    valid: true,
  },
  'any policy in a self-issued authority counts though inhibited': {
    section: '4.12.7',
    links: [{ policies: ['p1'], inhibitAny: 0 }, { policies: ['any'], selfIssued: true }, { policies: ['p1'] }],
    rules: explicit,
    valid: true,
  },
  'any policy in a self-issued leaf does not': {
    section: '4.12.10',
    links: [{ policies: ['p1'], inhibitAny: 0 }, { policies: ['any'] }],
    rules: explicit,
    valid: false,
  },
  'any policy that the caller inhibits': {
    section: '4.12.3',
    links: [{ policies: ['any'] }, { policies: ['p1'] }],
    rules: { ...explicit, inhibitAnyPolicy: true },
    valid: false,
  },
};

for (const [name, { section, links, rules = {}, valid }] of Object.entries(situations)) {
  test(`PKITS ${section}: ${name}`, { skip }, () => {
    const ders = chainOf(links);
    assert.equal(ours(ders, rules), valid);
    assert.equal(opensslSays(ders, rules), valid, 'OpenSSL differs');
  });
}

const policyName = fc.constantFrom('p1', 'p2', 'p3');
const link = fc.record(
  {
    policies: fc.uniqueArray(fc.constantFrom('p1', 'p2', 'p3', 'any'), { minLength: 1, maxLength: 3 }),
    mappings: fc.array(fc.tuple(policyName, policyName), { maxLength: 2 }),
    requireExplicit: fc.nat(2),
    inhibitMapping: fc.nat(2),
    inhibitAny: fc.nat(2),
  },
  { requiredKeys: ['policies'] },
);
const asked = fc.record(
  {
    initialPolicies: fc.uniqueArray(policyName.map(oidOf), { minLength: 1, maxLength: 2 }),
    requireExplicit: fc.boolean(),
    inhibitMapping: fc.boolean(),
  },
  { requiredKeys: [] },
);

// Where any policy is inhibited, OpenSSL 3.0 still makes a policy of it when the certificate maps one that it does not list: RFC 5280 6.1.3 (d) (2)
// gives that certificate no such node.
function hitsMappingOfInhibitedAny(links: readonly Link[]): boolean {
  const inhibited = links.some(({ inhibitAny }) => inhibitAny !== undefined);
  return (
    inhibited &&
    links.some(
      ({ policies = [], mappings = [] }) =>
        policies.includes('any') && mappings.some(([issuerPolicy]) => !policies.includes(issuerPolicy)),
    )
  );
}

// SECURITY.md: DEV-03
test('for chains and questions at random OpenSSL gives the same answer', { skip }, () => {
  fc.assert(
    fc.property(fc.array(link, { minLength: 1, maxLength: 4 }), asked, (links, rules) => {
      fc.pre(!hitsMappingOfInhibitedAny(links));
      // A mapping in a leaf has no effect.
      const ders = chainOf(links.map((each, at) => (at === links.length - 1 ? { ...each, mappings: [] } : each)));
      assert.equal(ours(ders, rules), opensslSays(ders, rules));
    }),
    { numRuns: 150 },
  );
});
