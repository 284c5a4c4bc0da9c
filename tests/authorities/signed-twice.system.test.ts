// The files of a ceremony say in their names what they are, and a root that gets the same request again says so and gives the same answer.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

let folder: string;
const at = (...names: readonly string[]) => join(folder, ...names);
const main = join(import.meta.dirname, '../../cli/src/main.ts');
function edgekeep(...words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...words], { cwd: folder, encoding: 'utf8' });
  return { status, stdout, stderr };
}
function done(...words: readonly string[]) {
  const ended = edgekeep(...words);
  assert.equal(ended.status, 0, ended.stderr);
  return ended;
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgekeep-twice-'));
  done('root', 'init', '--folder', at('root'), '--plain');
  done('hub', 'init', '--data', at('hub'), '--name', 'hub.example.net', '--issuing-request', `${at('carry')}/`);
});
after(() => rmSync(folder, { recursive: true, force: true }));

const found = (pattern: RegExp) => readdirSync(at('carry')).filter((name) => pattern.test(name));
const read = (name: string) => readFileSync(at('carry', name), 'utf8');

test('request and answer have hub, ids, root and day in their names where no other name is given', () => {
  assert.equal(found(/^issuing-hub\.example\.net-\d{4}-\d\d-\d\d\.csr$/).length, 1, readdirSync(at('carry')).join());
  const [request = ''] = found(/\.csr$/);
  done('root', 'sign-issuing', '--folder', at('root'), '--request', at('carry', request), '--yes');
  const answer =
    /^issuing-server-[0-9a-f]{8}-device-[0-9a-f]{8}-workload-[0-9a-f]{8}-root-[0-9a-f]{8}-\d{4}-\d\d-\d\d\.pem$/;
  assert.equal(found(answer).length, 1, readdirSync(at('carry')).join());
});

test('the same request gets the same certificates without the key of the root, and a warning says when it was signed', () => {
  const [request = ''] = found(/\.csr$/);
  const [first = ''] = found(/\.pem$/);
  const asked = ['root', 'sign-issuing', '--folder', at('root'), '--request', at('carry', request)];
  const again = done(...asked, '--out', at('carry', 'second.pem'));
  assert.match(
    again.stderr,
    /warning: this request was signed before:\n {2}issuing CA [0-9a-f]{40} \(server\) at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, valid until /,
  );
  assert.equal(read('second.pem'), read(first));
  const record = done('root', 'show', '--folder', at('root')).stdout;
  assert.equal(record.match(/issuing-signed/g)?.length, 3, record);
  done(...asked, '--out', at('carry', 'third.pem'), '--again', '--yes');
  assert.notEqual(read('third.pem'), read(first));
});

test('an answer that exists is refused before anything is signed', () => {
  const [request = ''] = found(/\.csr$/);
  const lines = () => done('root', 'show', '--folder', at('root')).stdout;
  const before = lines();
  const asked = ['root', 'sign-issuing', '--folder', at('root'), '--request', at('carry', request), '--again', '--yes'];
  const refused = edgekeep(...asked, '--out', at('carry', 'second.pem'));
  assert.equal(refused.status, 3);
  assert.match(refused.stderr, /second\.pem exists already, and is not replaced/);
  assert.equal(lines(), before);
});

test('two roots that were linked before get the same links again, with a warning', () => {
  done('root', 'init', '--folder', at('next'), '--plain');
  const asked = [
    'root',
    'sign-rollover',
    '--folder',
    at('root'),
    '--new-folder',
    at('next'),
    '--out',
    `${at('carry')}/`,
  ];
  done(...asked, '--yes');
  const [name = ''] = found(/^rollover-[0-9a-f]{8}-to-[0-9a-f]{8}-\d{4}-\d\d-\d\d\.pem$/);
  const again = done(...asked.slice(0, -1), at('carry', 'links.pem'));
  assert.match(again.stderr, /signed before:\n {2}the new root was certified at \d{4}-/);
  assert.equal(read('links.pem'), read(name));
});

test('a CA that is on the list of the root already keeps its date there, and a warning says since when', () => {
  const [request = ''] = found(/\.pem$/);
  const id = /-server-([0-9a-f]{8})/.exec(request)?.[1] ?? '';
  const ids = done('root', 'sign-crl', '--folder', at('root'), '--out', at('carry', 'empty.crl'), '--yes');
  assert.equal(ids.stderr.includes('warning'), false);
  const refused = edgekeep(
    'root',
    'sign-crl',
    '--folder',
    at('root'),
    '--revoke',
    at('carry', request),
    '--out',
    at('carry', 'x.crl'),
    '--yes',
  );
  const full = new RegExp(`${id}[0-9a-f]{32}`).exec(refused.stderr)?.[0] ?? '';
  const asked = [
    'root',
    'sign-crl',
    '--folder',
    at('root'),
    '--revoke',
    at('carry', request),
    '--id',
    full,
    '--yes',
    '--out',
  ];
  assert.equal(done(...asked, at('carry', 'one.crl')).stderr.includes('warning'), false);
  assert.match(done(...asked, at('carry', 'two.crl')).stderr, /is on the list since \d{4}-\d\d-\d\d/);
});
