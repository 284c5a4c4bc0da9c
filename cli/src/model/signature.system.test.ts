// `edgekeep model keygen|sign|verify` as a user runs it, against a second implementation of OMS in Python, openssl, and the verifier that
// deployed devices already have.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { parseBundle } from '@edgekeep/core/model/signature/bundle';
import { preAuthenticationEncoding } from '@edgekeep/core/model/signature/dsse';

const main = join(import.meta.dirname, '../main.ts');
const oms = join(import.meta.dirname, '../../../spec/vectors/model/signature/oms.py');
const python = '/usr/bin/python3';
let folder = '';
const path = (name: string) => join(folder, name);

// The verifier in the field, verbatim; only its indentation and its call are ours.
const verifyModelPython = `
import hashlib
import sys
from cryptography.hazmat.primitives import serialization
def verify_model(model_path, signature_path, public_key_path):
    with open(public_key_path, "rb") as f:
        public_key = serialization.load_pem_public_key(f.read())
    with open(model_path, "rb") as f:
        model_data = f.read()
    with open(signature_path, "rb") as f:
        signature = f.read()
    # Verify model signature
    public_key.verify(signature, model_data)
    print("Model signature verified")
verify_model(*sys.argv[1:])
`;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-sign-'));
  await mkdir(path('model/weights'), { recursive: true });
  await writeFile(path('model/config.json'), '{}\n');
  await writeFile(path('model/weights/a.bin'), Buffer.alloc(100_000, 3));
  await writeFile(path('model/weights/empty'), '');
  await writeFile(path('model/weights-2.bin'), 'two');
  for (const type of ['p256', 'p384', 'p521', 'ed25519']) {
    assert.equal(edgekeep('keygen', '--type', type, '--out', path(`${type}.pem`)).status, 0);
  }
});
after(() => rm(folder, { recursive: true }));

interface Run {
  readonly status: number | null;
  readonly text: string;
}

function run(program: string, args: readonly string[]): Run {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: folder, encoding: 'utf8' });
  return { status, text: `${stdout}${stderr}` };
}

function edgekeep(...args: readonly string[]): Run {
  return run(process.execPath, [main, 'model', ...args]);
}

function expectStatus(status: number, { status: found, text }: Run, pattern?: RegExp): void {
  assert.equal(found, status, text);
  if (pattern !== undefined) assert.match(text, pattern);
}

/** Skips with a reason, except in CI, where everything must be installed. */
function without(tool: string, ...probe: readonly string[]): string | false {
  const [program = '', ...args] = probe;
  const isThere = spawnSync(program, args).status === 0;
  return isThere || process.env['CI'] === 'true' ? false : `${tool} is not installed`;
}
const noPython = without('python3-cryptography', python, '-c', 'import cryptography');
const noOpenssl = without('openssl', 'openssl', 'version');

suite('model keygen', () => {
  test('the private key is for its owner alone, and neither key is ever overwritten', async () => {
    assert.equal((await stat(path('p256.pem'))).mode & 0o777, 0o600);
    const key = await readFile(path('p256.pem'), 'utf8');
    expectStatus(3, edgekeep('keygen', '--out', path('p256.pem')), /EEXIST/);
    assert.equal(await readFile(path('p256.pem'), 'utf8'), key);

    await writeFile(path('half.pub.pem'), 'mine');
    expectStatus(3, edgekeep('keygen', '--out', path('half.pem')), /EEXIST/);
    assert.equal(existsSync(path('half.pem')), false);
    assert.equal(await readFile(path('half.pub.pem'), 'utf8'), 'mine');
  });

  test('an unknown type is a usage error', () => {
    expectStatus(2, edgekeep('keygen', '--type', 'rsa', '--out', path('rsa.pem')));
  });
});

suite('bundles against a second implementation', { skip: noPython }, () => {
  for (const type of ['p256', 'p384', 'p521']) {
    for (const shards of [[], ['30000']]) {
      test(`${type}${shards.length > 0 ? ' with shards' : ''}: each verifies what the other signed`, () => {
        const key = path(`${type}.pem`);
        const options = shards.flatMap((size) => ['--shards', size]);
        expectStatus(0, edgekeep('sign', 'model', '--key', key, '--signature', 'ours.sig', ...options));
        expectStatus(0, run(python, [oms, 'verify', 'model', path(`${type}.pub.pem`), 'ours.sig']));
        expectStatus(0, run(python, [oms, 'sign', 'model', key, 'theirs.sig', ...shards]));
        const verified = edgekeep(
          'verify',
          'model',
          '--signature',
          'theirs.sig',
          '--public-key',
          path(`${type}.pub.pem`),
        );
        expectStatus(0, verified, /verified: [34] files/);
      });
    }
  }

  test('the second implementation is one: it refuses what changed', async () => {
    expectStatus(0, edgekeep('sign', 'model', '--key', 'p256.pem', '--signature', 'ours.sig'));
    await cp(path('model'), path('changed'), { recursive: true });
    await writeFile(path('changed/config.json'), '[]\n');
    expectStatus(1, run(python, [oms, 'verify', 'changed', 'p256.pub.pem', 'ours.sig']));
  });
});

suite('model verify', () => {
  before(() => expectStatus(0, edgekeep('sign', 'model', '--key', 'p256.pem', '--signature', 'model.sig')));
  const verify = (...args: readonly string[]) => edgekeep('verify', ...args, '--signature', 'model.sig');

  test('another key is refused by name', () => {
    expectStatus(1, verify('model', '--public-key', 'p384.pub.pem'), /wrong-key/);
  });

  test('every kind of change is refused, and the file is named', async () => {
    await cp(path('model'), path('worse'), { recursive: true });
    await writeFile(path('worse/config.json'), '[]\n');
    await writeFile(path('worse/evil.py'), '');
    await rm(path('worse/weights-2.bin'));
    const { status, text } = verify('worse', '--public-key', 'p256.pub.pem');
    assert.equal(status, 1);
    const reasons = text.split('\n').filter((line) => line.startsWith('  '));
    assert.deepEqual(reasons.map((line) => line.split(':', 2).join(':').trim()).sort(), [
      'digest-mismatch: "config.json"',
      'missing-file: "weights-2.bin"',
      'unsigned-file: "evil.py"',
    ]);
  });

  test('an unsigned file is accepted by name or by flag', async () => {
    await cp(path('model'), path('more'), { recursive: true });
    await writeFile(path('more/notes.txt'), 'x');
    const trust = ['--public-key', 'p256.pub.pem'];
    expectStatus(1, verify('more', ...trust), /unsigned-file/);
    expectStatus(0, verify('more', ...trust, '--ignore-path', './notes.txt'));
    expectStatus(0, verify('more', ...trust, '--ignore-unsigned-files'));
    expectStatus(2, verify('more', ...trust, '--ignore-path', '../more'));
    expectStatus(
      1,
      verify('more', ...trust, '--ignore-path', 'note.txt'),
      /warning: --ignore-path note\.txt matches nothing in /,
    );
  });

  test('a signature inside the folder does not sign itself', async () => {
    await cp(path('model'), path('inside'), { recursive: true });
    const sign = () => edgekeep('sign', 'inside', '--key', 'p256.pem', '--signature', 'inside/model.sig');
    expectStatus(0, sign());
    expectStatus(0, sign());
    const verified = edgekeep('verify', 'inside', '--signature', 'inside/model.sig', '--public-key', 'p256.pub.pem');
    expectStatus(0, verified, /verified: 4 files/);
  });

  test('wrong words, a missing file and a file that is no signature have exit codes of their own', () => {
    expectStatus(2, verify('model'));
    expectStatus(2, verify('model', '--public-key', 'p256.pub.pem', '--trust-root', 'p256.pub.pem'));
    expectStatus(3, verify('nowhere', '--public-key', 'p256.pub.pem'), /ENOENT/);
    const noSignature = edgekeep('verify', 'model', '--signature', 'model/config.json', '--public-key', 'p256.pub.pem');
    expectStatus(3, noSignature, /signature-bundle-invalid/);
    expectStatus(3, verify('model', '--public-key', 'model/config.json'), /key-invalid/);
  });

  test('an Ed25519 key makes no bundle', () => {
    expectStatus(2, edgekeep('sign', 'model', '--key', 'ed25519.pem', '--signature', 'x.sig'), /--detached/);
  });
});

suite('against openssl', { skip: noOpenssl }, () => {
  for (const [type, digest] of [
    ['p256', '-sha256'],
    ['p384', '-sha384'],
    ['p521', '-sha512'],
  ] as const) {
    test(`openssl verifies the DSSE signature of a ${type} bundle`, async () => {
      expectStatus(0, edgekeep('sign', 'model', '--key', `${type}.pem`, '--signature', 'dsse.sig'));
      const parsed = parseBundle(await readFile(path('dsse.sig')));
      assert.ok(parsed.kind === 'parsed');
      const { payloadType, payload, signature } = parsed.bundle.envelope;
      await writeFile(path('pae'), preAuthenticationEncoding(payloadType, payload));
      await writeFile(path('der'), signature);
      const args = ['dgst', digest, '-verify', `${type}.pub.pem`, '-signature', 'der', 'pae'];
      expectStatus(0, run('openssl', args), /Verified OK/);
    });
  }

  test('a chain that openssl made signs; another authority and a chain of another key do not', async () => {
    await writeFile(path('root.cnf'), 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n');
    await writeFile(path('leaf.cnf'), 'keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n');
    for (const name of ['root', 'other']) {
      expectStatus(0, edgekeep('keygen', '--out', `${name}-key.pem`));
      openssl('req', '-new', '-key', `${name}-key.pem`, '-subj', '/CN=Root', '-out', `${name}.csr`);
      openssl(
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-signkey',
        `${name}-key.pem`,
        '-extfile',
        'root.cnf',
        '-days',
        '2',
        '-out',
        `${name}.pem`,
      );
    }
    openssl('req', '-new', '-key', 'p384.pem', '-subj', '/CN=Publisher', '-out', 'leaf.csr');
    const by = ['-CA', 'root.pem', '-CAkey', 'root-key.pem', '-CAcreateserial', '-extfile', 'leaf.cnf', '-days', '1'];
    openssl('x509', '-req', '-in', 'leaf.csr', ...by, '-out', 'leaf.pem');

    const chain = ['--certificate-chain', 'leaf.pem', '--signature', 'chain.sig'];
    expectStatus(0, edgekeep('sign', 'model', '--key', 'p384.pem', ...chain));
    const verify = (root: string) => edgekeep('verify', 'model', '--signature', 'chain.sig', '--trust-root', root);
    expectStatus(0, verify('root.pem'), /signed by CN=Publisher/);
    expectStatus(1, verify('other.pem'), /certificate-untrusted/);
    expectStatus(3, edgekeep('sign', 'model', '--key', 'p256.pem', ...chain), /key-invalid/);
  });

  function openssl(...args: readonly string[]): void {
    expectStatus(0, run('openssl', args));
  }
});

suite('detached signatures', () => {
  const model = 'model/weights/a.bin';
  before(() => {
    const args = ['sign', model, '--key', 'ed25519.pem', '--detached', '--signature', 'a.sig'];
    expectStatus(0, edgekeep(...args));
  });

  test('64 bytes that verify, and do not over another file or under another key', async () => {
    assert.equal((await stat(path('a.sig'))).size, 64);
    const verify = (file: string, ...args: readonly string[]) =>
      edgekeep('verify', file, '--detached', '--signature', 'a.sig', ...args);
    expectStatus(0, verify(model, '--public-key', 'ed25519.pub.pem'));
    expectStatus(1, verify('model/config.json', '--public-key', 'ed25519.pub.pem'), /signature-invalid/);
    expectStatus(3, verify(model, '--public-key', 'p256.pub.pem'), /signature-bundle-invalid/);
    expectStatus(2, verify(model, '--public-key', 'ed25519.pub.pem', '--ignore-path', 'x'));
  });

  test('openssl verifies it', { skip: noOpenssl }, () => {
    const args = [
      'pkeyutl',
      '-verify',
      '-rawin',
      '-pubin',
      '-inkey',
      'ed25519.pub.pem',
      '-in',
      model,
      '-sigfile',
      'a.sig',
    ];
    expectStatus(0, run('openssl', args), /Verified Successfully/);
  });

  test('the verifier in the field accepts it unchanged, and refuses another file', { skip: noPython }, async () => {
    await writeFile(path('verify_model.py'), verifyModelPython);
    const verify = (file: string) => run(python, ['verify_model.py', file, 'a.sig', 'ed25519.pub.pem']);
    expectStatus(0, verify(model), /Model signature verified/);
    expectStatus(1, verify('model/config.json'), /InvalidSignature/);
  });

  for (const type of ['p256', 'p384', 'p521']) {
    test(`openssl dgst -sha256 and we verify what the other one signs, with ${type}`, { skip: noOpenssl }, async () => {
      const dgst = (...args: readonly string[]) => run('openssl', ['dgst', '-sha256', ...args]);
      const ours = ['--key', `${type}.pem`, '--detached', '--signature', `${type}.ours`];
      expectStatus(0, edgekeep('sign', model, ...ours));
      expectStatus(0, dgst('-verify', `${type}.pub.pem`, '-signature', `${type}.ours`, model), /Verified OK/);
      expectStatus(0, dgst('-sign', `${type}.pem`, '-out', `${type}.theirs`, model));
      const verify = (file: string, signature = `${type}.theirs`) =>
        edgekeep('verify', file, '--detached', '--signature', signature, '--public-key', `${type}.pub.pem`);
      expectStatus(0, verify(model));
      expectStatus(1, verify('model/config.json'), /signature-invalid/);
      const der = await readFile(path(`${type}.theirs`));
      const bad: readonly (readonly [Uint8Array, number, RegExp])[] = [
        [der.subarray(0, -1), 1, /signature-invalid/],
        // One byte more than the longest signature of P-521 is no signature at all.
        [Buffer.concat([der, Buffer.alloc(1)]), der.length < 139 ? 1 : 3, /signature-(?:bundle-)?invalid/],
        [Buffer.alloc(64, 1), 3, /signature-bundle-invalid/],
        [Buffer.concat([der, Buffer.alloc(200)]), 3, /signature-bundle-invalid/],
        [new Uint8Array(0), 3, /signature-bundle-invalid/],
      ];
      for (const [bytes, status, text] of bad) {
        await writeFile(path('bad.sig'), bytes);
        expectStatus(status, verify(model, 'bad.sig'), text);
      }
      // A digest of another length, as a curve's own rule would have it.
      if (type !== 'p256') {
        const other = ['dgst', '-sha384', '-sign', `${type}.pem`, '-out', 'other.sig', model];
        expectStatus(0, run('openssl', other));
        expectStatus(1, verify(model, 'other.sig'), /signature-invalid/);
      }
    });
  }

  test(
    'a key that makes no detached signatures, and options that mean nothing here, are errors',
    { skip: noOpenssl },
    () => {
      expectStatus(0, run('openssl', ['genpkey', '-algorithm', 'RSA', '-out', 'rsa.pem']));
      expectStatus(3, edgekeep('sign', model, '--key', 'rsa.pem', '--detached', '--signature', 'x'), /key-invalid/);
      expectStatus(
        2,
        edgekeep('sign', model, '--key', 'ed25519.pem', '--detached', '--signature', 'x', '--shards', '5'),
      );
    },
  );
});
