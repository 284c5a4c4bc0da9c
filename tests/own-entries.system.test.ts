// Auditors read the entries of the log; each device reads the entries about itself (spec/audit-log.md).
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAuditEntry } from '@edgekeep/core/audit/entry';
import { parseBase64url } from '@edgekeep/core/bytes';
import { ownEntries } from '@edgekeep/wire/api/audit';
import { accepted, assertRefused } from './support/answer.ts';
import { DeviceLink } from './support/device-link.ts';
import { HubWorld } from './support/hub-world.ts';
import { TestDevice } from './support/test-device.ts';

// SECURITY.md: HUB-11
test('a device reads the entries about itself, page by page, and none about another or about people', async () => {
  await using world = await HubWorld.open();
  await using device = await TestDevice.withoutTpm('press-1', join(world.folder, 'press-1'));
  await using other = await TestDevice.withoutTpm('press-10', join(world.folder, 'press-10'));
  await device.enroll(world);
  await other.enroll(world);
  await world.setState('press-1', 'quarantine');
  await world.setState('press-1', 'release');
  await world.setState('press-10', 'quarantine');
  await using link = await device.connect(world.hub);
  const kinds: string[] = [];
  for (let from: number | null = 0; from !== null;) {
    const page: ReturnType<typeof ownEntries.parse> = accepted(
      await link.ask('GET', `/v1/audit?from=${from}&limit=1`),
      ownEntries,
    );
    for (const { entry } of page.entries) {
      const { kind, actor, subject } = parseAuditEntry(parseBase64url(entry, 'entry'));
      assert.ok([actor, subject].includes('device:press-1'), `${kind} of ${subject} by ${actor}`);
      kinds.push(kind);
    }
    from = page.next;
  }
  for (const kind of ['device-enrolled', 'device-quarantined', 'device-active']) assert.ok(kinds.includes(kind), kind);
  await using stranger = await DeviceLink.open(world.hub);
  assertRefused(await stranger.ask('GET', '/v1/audit'), { status: 401, code: 'certificate-required' });
  assertRefused(await stranger.ask('GET', '/log/tile/entries/000'), { status: 403, code: 'scope-missing' });
});
