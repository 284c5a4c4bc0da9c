// kill -9 of the hub at any moment: everything it acknowledged exists afterwards, the log verifies, and it starts again. EDGEKEEP_KILLS
// sets the number of kills.
import assert from 'node:assert/strict';
import { createHash, randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { openLogSource } from '@edgekeep/cli/audit/log-source';
import { verifyLog } from '@edgekeep/cli/audit/verify-log';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { parseTrust } from '@edgekeep/core/access/trust';
import { openCheckpoint } from '@edgekeep/core/audit/checkpoint';
import type { VerifierKey } from '@edgekeep/core/audit/note';
import { receiptResponse } from '@edgekeep/wire/api/access';
import { stateResponse } from '@edgekeep/wire/api/device-view';
import { enrollmentTokenResponse } from '@edgekeep/wire/api/enrollment-token';
import { z } from 'zod';
import { closeAll } from '../support/closing.ts';
import { HubProcess } from '../support/hub-process.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import { Steps } from '../support/steps.ts';
import { TestDevice } from '../support/test-device.ts';
import { TestWitness } from '../support/witness.ts';

const kills = Number(process.env['EDGEKEEP_KILLS'] ?? 10);
/** The work on one hub when it is killed, with more under way: kills fall into every step of a release. */
const stepsEachLife = 20;

let fleet: SoftwareWorld;
let others: readonly TestDevice[];
let logKey: VerifierKey;
let witness: TestWitness;

before(async () => {
  // One device asks for more keys here than any device needs.
  fleet = await SoftwareWorld.open({ leaseSeconds: 3_600, lease: { maxPerWindow: 1_000_000 } });
  const { world } = fleet;
  await world.publishModel('surface', '1.0.0', 'weights');
  others = await Promise.all(
    ['suspect-1', 'suspect-2'].map(async (id) => {
      const device = await TestDevice.withoutTpm(id, join(world.folder, id));
      await device.enroll(world);
      await using link = await device.connect(world.hub);
      await device.attest(link);
      return device;
    }),
  );
  ({ logKey } = world.hub);
  witness = new TestWitness(logKey, fleet.device.witness);
});
after(async () => {
  await closeAll(fleet, ...(others ?? []));
});

/** What the hub acknowledged. */
class Promises {
  readonly leases: string[] = [];
  readonly tokens: string[] = [];
  readonly steps = new Steps();
  readonly releases = new Steps();
  /** By device: the last acknowledged state, and the requested state when the hub died. */
  readonly states = new Map<string, { acknowledged: string; asked: string }>();
}

// SECURITY.md: HUB-32
test(`a hub that is killed ${kills} times keeps every promise`, { timeout: 240_000 + kills * 60_000 }, async (t) => {
  const { world, device } = fleet;
  const { rootPem } = world.hub;
  await fleet.link[Symbol.asyncDispose]();
  await world.stop();
  const promises = new Promises();
  for (const { id } of others) promises.states.set(id, { acknowledged: 'active', asked: 'active' });

  for (let life = 0; life <= kills; life += 1) {
    await using hub = await HubProcess.start(world.hubFolder, world.operatorFile, rootPem);
    try {
      assertKept(promises);
      await using link = await device.connect(hub);
      const verdict = await witness.checkIn(link, Math.floor(Date.now() / 1_000));
      assert.equal(verdict.kind, 'consistent', `after kill ${life} the log does not continue what a device saw`);
      if (life === kills) {
        await assertLogVerifies();
        await assertReceiptsVerify(hub, promises);
        assert.equal(await hub.stop(), 0);
        break;
      }
      const over = new AbortController();
      // After a key was released: the next one is under way then.
      const soon = promises.releases.more(1).then(() => promises.steps.more(randomInt(1, stepsEachLife)));
      const work = [releaseKeys(hub, promises, over.signal), makeTokens(hub, promises, over.signal)];
      for (const each of others) work.push(moveStates(hub, each.id, promises, over.signal));
      await soon;
      await hub.kill();
      over.abort();
      await Promise.all(work);
    } finally {
      await hub.kill();
    }
    // Also before it starts again: the folder must be correct for a reader at that time.
    await assertLogVerifies();
  }
  t.diagnostic(`${kills} kills, ${promises.leases.length} leases, ${promises.tokens.length} tokens kept`);
  assert.ok(promises.leases.length + promises.tokens.length >= kills, 'the hub did too little between the kills');
});

/** Repeats until the hub dies; failures after that do not count. */
async function untilDead(signal: AbortSignal, step: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await step();
    } catch (error) {
      if (signal.aborted || isLoss(error)) return;
      throw error;
    }
  }
}

function isLoss(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'unreachable' || code === 'connection-lost' || code === 'closed';
}

async function releaseKeys(hub: HubProcess, { leases, steps, releases }: Promises, signal: AbortSignal): Promise<void> {
  const { device } = fleet;
  const link = await device.connect(hub).catch((error: unknown) => {
    if (isLoss(error)) return undefined;
    throw error;
  });
  if (link === undefined) return;
  try {
    await untilDead(signal, async () => {
      leases.push((await device.release(link, 'surface', '1.0.0')).lease.id);
      steps.take();
      releases.take();
    });
  } finally {
    await link[Symbol.asyncDispose]();
  }
}

function makeTokens(hub: HubProcess, { tokens, steps }: Promises, signal: AbortSignal): Promise<void> {
  return untilDead(signal, async () => {
    tokens.push((await hub.operator.send('POST', '/v1/enrollment-tokens', {}, enrollmentTokenResponse)).token);
    steps.take();
  });
}

function moveStates(hub: HubProcess, id: string, { states }: Promises, signal: AbortSignal): Promise<void> {
  return untilDead(signal, async () => {
    const { acknowledged } = states.get(id) ?? { acknowledged: 'active' };
    const [verb, asked] = acknowledged === 'active' ? ['quarantine', 'quarantined'] : ['release', 'active'];
    states.set(id, { acknowledged, asked });
    const answer = await hub.operator.send('POST', `/v1/devices/${id}/${verb}`, { reason: 'a test' }, stateResponse);
    states.set(id, { acknowledged: answer.state, asked: answer.state });
  });
}

/** Reads the store beside the running hub. */
function assertKept({ leases, tokens, states }: Promises): void {
  const store = new DatabaseSync(fleet.world.storeFile, { readOnly: true });
  try {
    const column = (sql: string) =>
      new Set(
        store
          .prepare(sql)
          .all()
          .map((row) => String(row['value'])),
      );
    const keptLeases = column('select id as value from lease where log_index in (select log_index from audit_entry)');
    assert.deepEqual(
      leases.filter((id) => !keptLeases.has(id)),
      [],
      'leases were lost',
    );
    const keptTokens = column('select sha256 as value from enrolment_token');
    assert.deepEqual(
      tokens.filter((text) => !keptTokens.has(sha256(text))),
      [],
      'tokens were lost',
    );
    for (const [id, { acknowledged, asked }] of states) {
      const state = z.string().parse(store.prepare('select state from device where id = ?').get(id)?.['state']);
      assert.ok(state === acknowledged || state === asked, `${id} is ${state}, was ${acknowledged}, to be ${asked}`);
      states.set(id, { acknowledged: state, asked: state });
    }
    const { entries, last } = z
      .object({ entries: z.number(), last: z.number() })
      .parse(store.prepare('select count(*) as entries, max(log_index) as last from audit_entry').get());
    assert.equal(entries, last + 1, 'the log has gaps');
  } finally {
    store.close();
  }
}

async function assertLogVerifies(): Promise<void> {
  const folder = join(fleet.world.hubFolder, 'log');
  const opened = openCheckpoint(await readFile(join(folder, 'checkpoint')), logKey);
  if (opened.kind !== 'verified') assert.fail(opened.reasons.join('; '));
  const options = { hashesOnly: false, progress: () => undefined };
  const verdict = await verifyLog(openLogSource(folder), opened.checkpoint, options);
  assert.equal(verdict.kind, 'verified', JSON.stringify(verdict));
}

/** The receipts of the first and the last releases, under the present log. */
async function assertReceiptsVerify({ operator }: HubProcess, { leases }: Promises): Promise<void> {
  const trust = parseTrust(await operator.getBytes('/v1/trust'));
  for (const id of [...leases.slice(0, 3), ...leases.slice(-3)]) {
    const { receipt } = await operator.get(`/v1/receipts/${id}`, receiptResponse);
    const verdict = verifyReceipt(Buffer.from(receipt, 'base64url'), {
      ...trust,
      policy: { ...trust.policy, quorum: 0 },
    });
    assert.equal(verdict.kind, 'verified', JSON.stringify(verdict));
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
