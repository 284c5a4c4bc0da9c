// The rule alone: who is refused, when a key is decided and when it is recorded.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubError } from '../common/error.ts';
import { getDevice } from '../registry/states.ts';
import { PostQuantumRule } from './post-quantum.ts';
import { openReleaseHub, press } from './testing-release.ts';

test('a device of a named group is refused on a classical or unknown key exchange, and no other device or connection', async () => {
  await using hub = await openReleaseHub();
  const device = await getDevice(hub.database.read, press.id);
  const { group_name: group } = await hub.database.read
    .selectFrom('device_group_member')
    .select('group_name')
    .where('device_id', '=', press.id)
    .executeTakeFirstOrThrow();
  const asked = async (groups: readonly string[], keyExchange: 'hybrid' | 'classical' | undefined) => {
    try {
      await new PostQuantumRule(groups).assert(hub.database.read, { device, keyExchange, nowMs: 1 });
      return 'admitted';
    } catch (error) {
      if (error instanceof HubError) return error.code;
      throw error;
    }
  };
  assert.equal(await asked([group], 'hybrid'), 'admitted');
  assert.equal(await asked([group], 'classical'), 'post-quantum-required');
  assert.equal(await asked([group], undefined), 'post-quantum-required');
  assert.equal(await asked([], 'classical'), 'admitted');
  assert.equal(await asked(['another'], 'classical'), 'admitted');
});
