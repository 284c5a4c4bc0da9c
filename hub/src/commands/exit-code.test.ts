// The exit code of a hub that ends, against the unit that starts it again.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { HubError } from '../common/error.ts';
import { exitCodeOf } from './exit-code.ts';

const unit = readFileSync(join(import.meta.dirname, '../../../deploy/edgekeep-hub.service'), 'utf8');
const prevented =
  /^RestartPreventExitStatus=(?<codes>[\d ]+)$/m.exec(unit)?.groups?.['codes']?.split(' ').map(Number) ?? [];

test('the unit starts a hub again whose database was away, and none that needs a person', () => {
  for (const code of ['store-unavailable', 'outcome-unknown'] as const)
    assert.ok(!prevented.includes(exitCodeOf(new HubError(code, 'away'))), code);
  for (const code of ['settings-invalid', 'node-unknown', 'store-newer'] as const)
    assert.ok(prevented.includes(exitCodeOf(new HubError(code, 'broken'))), code);
});
