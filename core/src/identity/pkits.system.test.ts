// NIST's PKI test suite (PKITS), where Debian's python3-cryptography-vectors is installed: every end entity, without revocation lists, with
// OpenSSL as oracle. policy-graph.system.test.ts has its sections on policies in our own form.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CoreError } from '../error.ts';
import { parseForeignCertificate } from './certificate.ts';
import { indexCertificates } from './certificate-index.ts';
import { anyPolicyOid } from './oid.ts';
import { validatePath } from './path.ts';
import { encodePem } from './pem.ts';
import type { PolicyRules } from './policy-graph.ts';

const suite = '/usr/lib/python3/dist-packages/cryptography_vectors/x509/PKITS_data/certs';
const rootFile = 'TrustAnchorRootCertificate.crt';
// 2027-01-15; the suite's certificates end in 2030.
const atSeconds = 1_800_000_000;
const policy = (number: number) => `2.16.840.1.101.3.2.1.48.${number}`;

// Section 4.10.11 with any policy inhibited by the caller: OpenSSL 3.0 makes a policy of the inhibited one (policy-graph.system.test.ts).
const questions: readonly PolicyRules[] = [
  {},
  { requireExplicit: true },
  { requireExplicit: true, initialPolicies: [policy(1)] },
  { requireExplicit: true, initialPolicies: [policy(2)] },
  { requireExplicit: true, inhibitMapping: true },
];

const found = existsSync(suite) && spawnSync('openssl', ['version']).error === undefined;
const mustBeThere = process.env['CI'] === 'true';

test(
  'of every end entity of PKITS and every question about policies, OpenSSL says the same',
  { skip: found || mustBeThere ? false : 'python3-cryptography-vectors or openssl is not installed' },
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'edgekeep-pkits-'));
    after(() => rmSync(folder, { recursive: true }));
    const names = readdirSync(suite).filter((name) => name.endsWith('.crt'));
    const ders = new Map(names.map((name) => [name, readFileSync(join(suite, name))]));
    const parsed = new Map(names.map((name) => [name, readOr(ders.get(name), name)]));
    const endEntities = names.filter((name) => name.endsWith('EE.crt'));
    const authorities = names.filter((name) => !name.endsWith('EE.crt') && name !== rootFile);
    const write = (name: string, some: readonly string[]) => {
      const path = join(folder, name);
      writeFileSync(path, some.map((each) => encodePem('CERTIFICATE', ders.get(each) ?? Buffer.alloc(0))).join(''));
      return path;
    };
    const trust = ['-CAfile', write('root.pem', [rootFile]), '-untrusted', write('others.pem', authorities)];
    const anchors = indexCertificates([parsed.get(rootFile) ?? []].flat());
    const known = indexCertificates(authorities.flatMap((name) => parsed.get(name) ?? []));
    const differing: string[] = [];
    const files = endEntities.map((name) => write(name, [name]));
    const args = ['verify', '-attime', String(atSeconds), '-auth_level', '1', '-no-CApath', '-no-CAstore', ...trust];
    for (const rules of questions) {
      // One line for each file: its name, and OK where it is valid.
      const { stdout } = spawnSync('openssl', [...args, ...asked(rules), ...files], { encoding: 'utf8' });
      const valid = new Set(stdout.split('\n').flatMap((line) => /^(.*): OK$/.exec(line)?.[1] ?? []));
      assert.ok(valid.size > 0, 'OpenSSL finds no chain of the suite valid');
      for (const [at, name] of endEntities.entries()) {
        const theirs = valid.has(files[at] ?? '');
        const leaf = parsed.get(name);
        const path = { intermediates: [], known, anchors, atSeconds, purpose: 'any', policies: rules } as const;
        const ours = leaf !== undefined && validatePath({ ...path, leaf }).kind === 'valid';
        if (ours !== theirs) differing.push(`${name}: ours ${ours}, OpenSSL ${theirs}, ${JSON.stringify(rules)}`);
      }
    }
    assert.ok(endEntities.length > 200);
    assert.deepEqual(differing, []);
  },
);

function asked({ initialPolicies = [anyPolicyOid], requireExplicit, inhibitMapping }: PolicyRules): readonly string[] {
  return [
    '-policy_check',
    ...initialPolicies.flatMap((oid) => ['-policy', oid]),
    ...(requireExplicit === true ? ['-explicit_policy'] : []),
    ...(inhibitMapping === true ? ['-inhibit_map'] : []),
  ];
}

function readOr(der: Uint8Array | undefined, name: string) {
  try {
    return der === undefined ? undefined : parseForeignCertificate(der, name);
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return undefined;
  }
}
