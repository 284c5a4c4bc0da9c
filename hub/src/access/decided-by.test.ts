import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Policy, loadPolicy } from '@edgekeep/core/policy/policy';
import type { DeviceAction } from '@edgekeep/core/policy/schema';
import { addDevices, deviceRow } from '../registry/testing-device.ts';
import { openTestStore } from '../store/testing-store.ts';
import { decidedBy, factsNow } from './decided-by.ts';

function policyOf(action: DeviceAction, condition: string): Policy {
  const key = 'permit (principal, action == Edgekeep::Action::"releaseKey", resource)';
  const claims = condition.includes('context.guard') ? '@claims("context.guard") ' : '';
  const text =
    action === 'releaseKey'
      ? `${claims}@id("test") ${key} when { context.attestation.instanceIdentity == 2 && ${condition} };`
      : `@id("keys") ${key} when { context.attestation.instanceIdentity == 2 };
         ${claims}@id("test") forbid (principal, action == Edgekeep::Action::"${action}", resource) unless { ${condition} };`;
  const loaded = loadPolicy(text, { name: 'test' });
  assert.equal(loaded.kind, 'loaded', JSON.stringify(loaded));
  assert.ok(loaded.kind === 'loaded');
  return loaded.policy;
}

const appraisal = (status: string) => JSON.stringify({ status, reasons: [], vector: {} });
const report = (missing: readonly string[], crashes = 0) =>
  JSON.stringify({ walls: [], missing, inferenceTimeouts: 0, protocolViolations: 0, crashes });

interface Case {
  readonly action: DeviceAction;
  readonly condition: string;
  readonly before: { readonly guard?: string; readonly appraisal?: string };
  readonly after: { readonly guard?: string; readonly appraisal?: string };
  readonly stays: boolean;
}

const walls = 'context has guard && context.guard.missing.isEmpty()';
const affirmed = 'context.attestation.status == "affirming"';
const cases: Readonly<Record<string, Case>> = {
  'a wall that a device reports missing changes what a key is decided by': {
    action: 'releaseKey',
    condition: walls,
    before: { guard: report([]) },
    after: { guard: report(['file-system']) },
    stays: false,
  },
  'how often guards crashed is nothing that a policy looks at': {
    action: 'releaseKey',
    condition: walls,
    before: { guard: report([]) },
    after: { guard: report([], 3) },
    stays: true,
  },
  'a policy that looks at no walls is not asked again for them': {
    action: 'releaseKey',
    condition: affirmed,
    before: { guard: report([]) },
    after: { guard: report(['file-system']) },
    stays: true,
  },
  'a newer attestation result changes what a connection is decided by': {
    action: 'connect',
    condition: affirmed,
    before: { appraisal: appraisal('affirming') },
    after: { appraisal: appraisal('warning') },
    stays: false,
  },
  'a key is decided by the evidence of its own request': {
    action: 'releaseKey',
    condition: affirmed,
    before: { appraisal: appraisal('affirming') },
    after: { appraisal: appraisal('warning') },
    stays: true,
  },
};

for (const [title, { action, condition, before, after, stays }] of Object.entries(cases)) {
  test(title, async () => {
    await using store = await openTestStore();
    const { database } = store;
    await addDevices(database, deviceRow('press-1'));
    const ask = { action, deviceId: 'press-1', country: undefined, nowMs: 0 };
    using policy = policyOf(action, condition);
    const change = (columns: Case['before']) =>
      database.write((trx) => trx.updateTable('device').set(columns).where('id', '=', 'press-1').execute());
    await change(before);
    const { facts } = await decidedBy(database.read, policy, ask);
    assert.equal(await factsNow(database.read, policy, ask), facts);
    await change(after);
    assert.equal((await factsNow(database.read, policy, ask)) === facts, stays);
  });
}
