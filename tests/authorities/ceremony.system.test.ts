// The ceremony of docs/authorities.md on the command line: an offline root in a folder or in a token, a hub that never sees its key, and
// chains that OpenSSL accepts.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { parseCertificate, publicKeyOf } from '@edgekeep/core/identity/certificate';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { skipWithoutSoftHsm, softHsmModule, testTokens } from '@edgekeep/hardware/pkcs11/testing';
import { authorityOverview } from '@edgekeep/wire/api/authority';
import { ending } from '../support/child.ts';
import { HubProcess } from '../support/hub-process.ts';
import { findSecrets } from '../support/secret-search.ts';

const run = promisify(execFile);
const main = join(import.meta.dirname, '../../cli/src/main.ts');
const passphrase = 'six words that nobody else knows';

interface Ran {
  readonly status: number | null;
  readonly output: string;
  readonly complaint: string;
}

/** `edgekeep`, with the passphrase on descriptor 3, and on 4 for a second root. */
async function edgekeep(...words: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'] });
  for (const at of [3, 4]) {
    const pipe = child.stdio[at];
    if (pipe !== null && pipe !== undefined && 'end' in pipe) {
      pipe.on('error', () => undefined);
      pipe.end(`${passphrase}\n`);
    }
  }
  await using _ = ending(child);
  const [output, complaint] = [text(child.stdout ?? Readable.from([])), text(child.stderr ?? Readable.from([]))];
  await once(child, 'exit');
  return { status: child.exitCode, output: await output, complaint: await complaint };
}

async function done(...words: readonly string[]): Promise<string> {
  const { status, output, complaint } = await edgekeep(...words);
  assert.equal(status, 0, complaint);
  return output;
}

async function scratch(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-ceremony-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const settings = JSON.stringify({
  device: { port: 0 },
  operator: { port: 0 },
  logLevel: 'silent',
  logOrigin: 'edgekeep.test/log',
});

// SECURITY.md: HUB-23
test('a root in a folder: the hub runs under it, and its key was never there', async (t) => {
  const folder = await scratch(t);
  const at = (name: string) => join(folder, name);
  const key = ['--folder', at('root'), '--passphrase-fd', '3'];
  const made = await done('root', 'init', ...key, '--json');
  const { sha256 }: { readonly sha256: string } = JSON.parse(made);
  assert.equal((await stat(at('root/root-key.pem'))).mode & 0o777, 0o600);
  assert.match(await readFile(at('root/root-key.pem'), 'utf8'), /ENCRYPTED/);
  assert.notEqual((await edgekeep('root', 'init', ...key)).status, 0, 'a root was overwritten');

  await done('hub', 'init', '--data', at('hub'), '--settings', settings, '--issuing-request', at('issuing.csr'));
  const early = await edgekeep('hub', 'run', '--data', at('hub'));
  assert.match(early.complaint, /waits for the certificates of its issuing CAs/);
  assert.equal(early.status, 3);

  const asked = ['--request', at('issuing.csr'), '--out', at('issuing.pem')];
  const unasked = await edgekeep('root', 'sign-issuing', ...key, ...asked);
  assert.equal(unasked.status, 2, 'it signed without a yes');
  const signed = await edgekeep('root', 'sign-issuing', ...key, ...asked, '--yes');
  assert.equal(signed.status, 0, signed.complaint);
  assert.match(signed.complaint, /subject +CN=Edgekeep servers CA[\s\S]*devices CA[\s\S]*workloads CA/);
  assert.match(signed.complaint, /issues for +workloads of edgekeep\.local, no host/);
  assert.match(signed.complaint, /path length +0/);

  const install = ['hub', 'install-issuing', at('issuing.pem'), '--data', at('hub'), '--root-sha256'];
  assert.equal((await edgekeep(...install, '0'.repeat(64))).status, 3, 'another root was taken');
  await done(...install, sha256);
  assert.equal((await edgekeep(...install, sha256)).status, 3, 'installed twice');
  const operator: { readonly root: string } = JSON.parse(await readFile(at('hub/operator.json'), 'utf8'));
  await using hub = await HubProcess.start(at('hub'), at('hub/operator.json'), operator.root);
  const overview = await hub.operator.get('/v1/authorities', authorityOverview);
  await hub.stop();
  assert.equal(overview.roots[0]?.sha256, sha256);
  const classes = overview.issuing.filter(({ status }) => status === 'active').map((each) => each.class);
  assert.deepEqual(classes.toSorted(), ['device', 'server', 'workload']);

  const root = createPrivateKey({ key: await readFile(at('root/root-key.pem')), passphrase });
  const scalar = Buffer.from(String(root.export({ format: 'jwk' }).d), 'base64url');
  assert.deepEqual(await findSecrets(at('hub'), new Map([['root key', scalar]])), []);

  await writeFile(at('root.pem'), operator.root);
  const all = parsePem(await readFile(at('issuing.pem'), 'utf8'), 'CERTIFICATE');
  assert.equal(all.length, 4);
  for (const der of all.slice(0, 3)) {
    await writeFile(at('ca.pem'), encodePem('CERTIFICATE', der));
    const verified = await run('openssl', ['verify', '-x509_strict', '-CAfile', at('root.pem'), at('ca.pem')]);
    assert.match(verified.stdout, /OK/);
  }
  await run('openssl', ['pkey', '-in', at('root/root-key.pem'), '-passin', `pass:${passphrase}`, '-noout']);

  const shown = await done('root', 'show', '--folder', at('root'));
  assert.match(shown, /root-made[\s\S]*issuing-signed/);
  const record = (await readFile(at('root/ceremony.jsonl'), 'utf8')).split('\n');
  await writeFile(at('root/ceremony.jsonl'), record.slice(1).join('\n'));
  assert.equal((await edgekeep('root', 'show', '--folder', at('root'))).status, 3, 'a shortened record was believed');
});

test('a request that was changed on its way, or is for another hub, is refused', async (t) => {
  const folder = await scratch(t);
  const at = (name: string) => join(folder, name);
  const key = ['--folder', at('root'), '--plain'];
  await done('root', 'init', ...key);
  const opened = ['--folder', at('root')];
  for (const name of ['a', 'b'])
    await done('hub', 'init', '--data', at(name), '--settings', settings, '--issuing-request', at(`${name}.csr`));
  await done('root', 'sign-issuing', ...opened, '--request', at('a.csr'), '--out', at('a.pem'), '--yes');
  const other = await edgekeep('hub', 'install-issuing', at('a.pem'), '--data', at('b'));
  assert.match(other.complaint, /another key/);
  const [request = new Uint8Array(0)] = parsePem(await readFile(at('a.csr'), 'utf8'), 'CERTIFICATE REQUEST');
  const spoiled = Uint8Array.from(request);
  spoiled[60] = (spoiled[60] ?? 0) ^ 1;
  await writeFile(at('spoiled.csr'), encodePem('CERTIFICATE REQUEST', spoiled));
  const out = ['--request', at('spoiled.csr'), '--out', at('spoiled.pem'), '--yes'];
  assert.equal((await edgekeep('root', 'sign-issuing', ...opened, ...out)).status, 3);
});

const skip = await skipWithoutSoftHsm();

// SECURITY.md: HUB-23
test(
  'a root in a token: born there, it signs, hands over to one in a folder, and OpenSSL follows',
  { skip },
  async (t) => {
    const folder = await scratch(t);
    const at = (name: string) => join(folder, name);
    await using tokens = await testTokens('root');
    const { pinFile } = tokens.place('root');
    const token = ['--pkcs11', softHsmModule, '--token', 'root', '--pin-file', pinFile];
    const old = ['--folder', at('old'), ...token];
    await done('root', 'init', ...old);
    await assert.rejects(stat(at('old/root-key.pem')), { code: 'ENOENT' });
    await done('hub', 'init', '--data', at('hub'), '--settings', settings, '--issuing-request', at('hub.csr'));
    await done('root', 'sign-issuing', ...old, '--request', at('hub.csr'), '--out', at('hub.pem'), '--yes');
    await done('root', 'init', '--folder', at('new'), '--passphrase-fd', '3');
    const both = [...old, '--new-folder', at('new'), '--new-passphrase-fd', '4'];
    await done('root', 'sign-rollover', ...both, '--out', at('rollover.pem'), '--yes');
    const [root, newWithOld, oldWithNew] = parsePem(await readFile(at('rollover.pem'), 'utf8'), 'CERTIFICATE');
    const names = { root, newWithOld, oldWithNew };
    for (const [name, der] of Object.entries(names))
      await writeFile(at(`${name}.pem`), encodePem('CERTIFICATE', der ?? new Uint8Array(0)));

    // Under the old root by the link, and the old one under the new.
    await done(
      'root',
      'sign-issuing',
      '--folder',
      at('new'),
      '--passphrase-fd',
      '3',
      '--request',
      at('hub.csr'),
      '--out',
      at('next.pem'),
      '--yes',
    );
    const verify = async (anchor: string, link: string, leaf: string) => {
      const args = ['verify', '-x509_strict', '-CAfile', at(anchor), '-untrusted', at(link), at(leaf)];
      return (await run('openssl', args)).stdout;
    };
    assert.match(await verify('old/root.pem', 'newWithOld.pem', 'next.pem'), /OK/);
    assert.match(await verify('new/root.pem', 'oldWithNew.pem', 'hub.pem'), /OK/);
    await assert.rejects(run('openssl', ['verify', '-CAfile', at('old/root.pem'), at('root.pem')]));

    const list = ['--revoke', at('hub.pem'), '--out', at('root.crl'), '--yes'];
    const several = await edgekeep('root', 'sign-crl', ...old, ...list);
    const [, id = ''] = /--id ([0-9a-f]{40})/.exec(several.complaint) ?? [];
    assert.equal(several.status, 2, several.complaint);
    await done('root', 'sign-crl', ...old, ...list, '--id', id);
    const crl = await run('openssl', [
      'crl',
      '-inform',
      'DER',
      '-in',
      at('root.crl'),
      '-CAfile',
      at('old/root.pem'),
      '-noout',
      '-text',
    ]);
    assert.match(crl.stdout, /CA Compromise/);
    assert.match(crl.stderr, /verify OK/);
    const shown = await done('root', 'show', '--folder', at('old'));
    assert.match(shown, /issuing-signed[\s\S]*rollover-old-signed[\s\S]*list-signed/);
    const wrong = await edgekeep('root', 'sign-crl', '--folder', at('new'), ...token, '--out', at('x.crl'), '--yes');
    assert.match(wrong.complaint, /not the one of/);
    assert.ok(publicKeyOf(parseCertificate(root ?? new Uint8Array(0))));
  },
);
