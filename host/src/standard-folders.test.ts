import assert from 'node:assert/strict';
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { formerPlace, ownersWords } from './standard-folders.ts';

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), 'edgekeep-folders-'));
});
beforeEach(() => rmSync(join(root, 'var'), { recursive: true, force: true }));
after(() => rmSync(root, { recursive: true, force: true }));

function put(path: string): void {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), '');
}

test('a hub and an agent in a former place are found and named', () => {
  assert.equal(formerPlace('hub', root), undefined);
  put('var/lib/edgekeep-agent/agent.json');
  assert.match(formerPlace('agent', root) ?? '', /\/var\/lib\/edgekeep-agent is, .*docs\/upgrading\.md/);
  assert.equal(formerPlace('hub', root), undefined);
  put('var/lib/edgekeep/hub.sqlite');
  assert.match(formerPlace('hub', root) ?? '', /\/var\/lib\/edgekeep is,/);
});

test('a former place is not named beside a standard folder that is in use', () => {
  put('var/lib/edgekeep/hub.sqlite');
  put('var/lib/edgekeep/hub/hub.json');
  assert.equal(formerPlace('hub', root), undefined);
});

test(
  'root gets the command that works as the owner of the folder, and nobody else does',
  { skip: process.getuid?.() !== 0 && 'not root' },
  () => {
    const folder = join(root, 'owned');
    mkdirSync(folder);
    assert.equal(ownersWords(folder, 'hub init'), undefined);
    chownSync(folder, 4_000, 4_001);
    assert.equal(ownersWords(folder, 'hub init'), 'setpriv --reuid=4000 --regid=4001 --init-groups edgekeep hub init');
    assert.equal(ownersWords(folder, 'hub init', 1_000), undefined);
    assert.equal(ownersWords(join(root, 'absent'), 'hub init'), undefined);
  },
);
