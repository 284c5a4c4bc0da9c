// kill -9 of a node of the hub at any moment, while devices and operators work: nothing that was answered is lost, nothing happens twice, the log does not
// fork, no key follows a quarantine that was answered, and the node is back without a hand. EDGEKEEP_KILLS sets the number of kills.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { testEngine } from '@edgekeep/hub/store/testing-place';
import { receiptResponse } from '@edgekeep/wire/api/access';
import { FaultFleet, reportText } from '../support/faults/fleet.ts';

const kills = Number(process.env['EDGEKEEP_KILLS'] ?? 5);
/** Answers of one life of a hub, with more under way: kills fall into every step of a release. */
const answersEachLife = 40;

// SECURITY.md: HUB-32
test(
  `a hub that is killed ${kills} times keeps every promise (${testEngine})`,
  { timeout: 240_000 + kills * 60_000 },
  async (t) => {
    await using fleet = await FaultFleet.open();
    const [node] = fleet.nodes.all;
    assert.ok(node !== undefined);
    await fleet.begin();
    for (let life = 0; life < kills; life += 1) {
      if (life === Math.floor(kills / 2)) fleet.revokeOne();
      await fleet.progress(randomInt(1, answersEachLife));
      await node.kill();
      // Also before it starts again: the folder must be correct for a reader at that time.
      await fleet.assertLogVerifies(node.folder);
      await node.start();
    }
    await fleet.progress(answersEachLife);
    await assertReceiptsVerify(fleet);
    const report = await fleet.end();
    t.diagnostic(`${kills} kills: ${reportText(report)}`);
    assert.deepEqual(report.problems, []);
    assert.ok(report.keys >= kills, 'the hub did too little between the kills');
  },
);

/** The receipts of the first and the last releases, under the present log. */
async function assertReceiptsVerify({ nodes, work, world }: FaultFleet): Promise<void> {
  const { operator } = nodes.all[0]?.process ?? assert.fail('the node is down');
  const trust = await world.trust(operator);
  const leases = work.history.operations.flatMap(({ answer }) => (answer?.kind === 'key' ? [answer.lease] : []));
  for (const id of [...leases.slice(0, 3), ...leases.slice(-3)]) {
    const { receipt } = await operator.get(`/v1/receipts/${id}`, receiptResponse);
    const policy = { ...trust.policy, quorum: 0 };
    const verdict = verifyReceipt(Buffer.from(receipt, 'base64url'), { ...trust, policy });
    assert.equal(verdict.kind, 'verified', JSON.stringify(verdict));
  }
}
