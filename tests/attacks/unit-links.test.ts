// What root runs in a folder of the agent's user, who may have left links there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

// SECURITY.md: DEV-94
test('the copy of the firmware log takes the place of a link, and goes nowhere else', () => {
  const unit = readFileSync(new URL('../../deploy/edgekeep-agent.service', import.meta.url), 'utf8');
  const [, words = ''] = /^ExecStartPre=-\+\/usr\/bin\/install (.*)$/m.exec(unit) ?? [];
  const options = words.replace(' -g edgekeep', '').split(' ').slice(0, -2);
  const folder = mkdtempSync(join(tmpdir(), 'edgekeep-links-'));
  try {
    const [log, elsewhere, copy] = [join(folder, 'log'), join(folder, 'elsewhere'), join(folder, 'firmware.log')];
    writeFileSync(log, 'events');
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, copy);
    const { status, stderr } = spawnSync('install', [...options, log, copy], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.deepEqual(readdirSync(elsewhere), []);
    assert.ok(lstatSync(copy).isFile());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
