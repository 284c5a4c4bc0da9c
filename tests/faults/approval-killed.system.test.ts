// kill -9 of the hub between an approval and its operation: no request is ever carried out twice, and none without its approval in the log.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { approvalList, approvalRequired, approveResponse } from '@edgekeep/wire/api/approval';
import type { Operator } from '@edgekeep/cli/operator';
import { operatorFromFile } from '@edgekeep/cli/operator';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HubProcess } from '../support/hub-process.ts';
import { HubWorld } from '../support/hub-world.ts';
import { addPerson } from '../support/people.ts';
import { Steps } from '../support/steps.ts';
import { loggedIn, rowsIn } from '../support/outside-store.ts';

const kills = Number(process.env['EDGEKEEP_KILLS'] ?? 4);
// At most this many requests may wait for one person.
const WAITING_MAX = 20;
// How many answers the hub gives in a life before it is killed, among those that it is working on: few, some, nearly all.
const answersBeforeKill = [1, 7, 16, 33];

// SECURITY.md: HUB-05
test(
  `a hub that is killed ${kills} times carries no approval out twice`,
  { timeout: 240_000 + kills * 60_000 },
  async (t) => {
    await using world = await HubWorld.open();
    const ben = await addPerson(world, 'ben');
    const { rootPem } = world.hub;
    await world.stop();
    const benFile = join(world.folder, 'ben.json');
    let asked = 0;
    for (let life = 0; life < kills; life += 1) {
      await using hub = await HubProcess.start(world.hubFolder, world.operatorFile, rootPem);
      const own: object = JSON.parse(await readFile(world.operatorFile, 'utf8'));
      await writeFile(benFile, JSON.stringify({ ...own, token: ben.token }), { mode: 0o600 });
      const second = await operatorFromFile(benFile);
      const waiting = async () => (await second.get('/v1/approvals', approvalList)).approvals;
      for (let count = (await waiting()).length; count < WAITING_MAX; count += 1) {
        await ask(hub.operator, `person-${asked}`);
        asked += 1;
      }
      const approvals = await waiting();
      const answers = new Steps();
      const enough = answers.more(answersBeforeKill[life % answersBeforeKill.length] ?? 1);
      const approving = Promise.allSettled(
        // Each twice, like a client that got no answer.
        approvals.flatMap(({ id, digest }) =>
          [0, 1].map(async () =>
            second.send('POST', `/v1/approvals/${id}/approve`, { digest }, approveResponse).finally(answers.take),
          ),
        ),
      );
      await enough;
      await hub.kill();
      await approving;
    }
    const entries = z.array(z.object({ kind: z.string(), subject: z.string() })).parse(await loggedIn(world.place));
    const subjects = (kind: string) => entries.filter((each) => each.kind === kind).map(({ subject }) => subject);
    const added = subjects('person-added').filter((subject) => subject.startsWith('person:person-'));
    const given = subjects('approval-given');
    assert.equal(new Set(given).size, given.length, 'an approval was given twice');
    assert.equal(new Set(added).size, added.length, 'a person was added twice');
    const inState = `select count(*) as count from approval where path = '/v1/people' and state in`;
    const [spent] = await rowsIn(world.place, `${inState} ('approved', 'executed')`);
    t.diagnostic(`${asked} asked, ${String(spent?.['count'])} approved, ${added.length} carried out`);
    assert.ok(added.length <= Number(spent?.['count']), 'carried out without an approval');
    const [failed] = await rowsIn(world.place, `${inState} ('failed')`);
    assert.equal(failed?.['count'], 0, 'carried out again');
  },
);

async function ask(operator: Operator, name: string): Promise<void> {
  // For the command line, a waiting request is no success.
  await assert.rejects(() => operator.send('POST', '/v1/people', { name }, approvalRequired), {
    code: 'approval-required',
  });
}
