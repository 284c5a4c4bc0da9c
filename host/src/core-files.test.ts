import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coreFileRisk } from './core-files.ts';

const limits = (soft: string) => `Limit   Soft\nMax core file size        ${soft}     unlimited     bytes\n`;
const collected = '|/usr/lib/systemd/systemd-coredump %P %u';

// SECURITY.md: DEV-46
test('one byte stops core files and their collectors, zero stops core files alone, and anything else nothing', () => {
  const risk = (soft: string, pattern: string) => coreFileRisk({ limits: limits(soft), pattern });
  for (const pattern of ['core', collected, '']) assert.equal(risk('1', pattern), undefined);
  assert.equal(risk('0', 'core\n'), undefined);
  assert.match(risk('0', collected) ?? '', /systemd-coredump collects/);
  assert.match(risk('0', '') ?? '', /not known/);
  for (const soft of ['unlimited', '2', '4096'])
    assert.match(risk(soft, 'core') ?? '', new RegExp(`limit is ${soft}:`));
});

test('a limit that cannot be read is a risk', () => {
  assert.match(coreFileRisk({ limits: '', pattern: 'core' }) ?? '', /not known/);
});
