// kill -9 of the hub in the middle of every step of a rotation and a roll-over: it always starts again with exactly one issuing CA in use,
// and the step is done or can be repeated.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { authorityOverview, issuingRequestResponse, issuingRevokeResponse } from '@edgekeep/wire/api/authority';
import { z } from 'zod';
import { HubProcess } from '../support/hub-process.ts';
import { HubWorld } from '../support/hub-world.ts';
import { OfflineRoot } from '../support/offline-root.ts';
import { loggedIn, rowsIn } from '../support/outside-store.ts';

type Overview = z.infer<typeof authorityOverview>;
type Ask = <T>(path: string, body: object, schema: z.ZodType<T>) => Promise<T>;

/** When the hub is killed: with the request on its way, when the step has its entry in the store and perhaps no answer, or after the answer. */
const moments = ['sent', 'committed', 'answered'] as const;
const rounds = Number(process.env['EDGEKEEP_KILLS'] ?? 1);

test('a hub that is killed in every step', { timeout: 240_000 + rounds * 240_000 }, async (t) => {
  const twoPeople = { access: { twoPeople: 'off' } };
  await using world = await HubWorld.open({ settings: twoPeople });
  const root = await OfflineRoot.open(join(world.folder, 'root'), world.clock.now);
  const { rootPem } = world.hub;
  await world.stop();
  const start = () => HubProcess.start(world.hubFolder, world.operatorFile, rootPem);
  const asking =
    (hub: HubProcess): Ask =>
    (path, body, schema) =>
      hub.operator.send('POST', `/v1/authorities/${path}`, body, schema);
  const look = async (hub: HubProcess) => {
    const overview = await hub.operator.get('/v1/authorities', authorityOverview);
    const active = overview.issuing.filter(({ status }) => status === 'active');
    const current = overview.roots.filter(({ status }) => status === 'current');
    const classes = active.map((each) => each.class).toSorted();
    assert.deepEqual(classes, ['device', 'server', 'workload'], JSON.stringify(overview));
    assert.equal(current.length, 1, JSON.stringify(overview));
    return overview;
  };

  let steps = 0;
  const entriesIn = async () => {
    const kinds = z.array(z.object({ kind: z.string() })).parse(await loggedIn(world.place));
    return kinds.filter(({ kind }) => stepKinds.test(kind)).length;
  };

  /** Resolves at the moment of this step: each step meets another one in the next round. */
  async function moment(acting: Promise<unknown>, before: number, which: (typeof moments)[number]): Promise<void> {
    const answer = acting.then(() => 'answered' as const);
    if (which === 'answered') await answer;
    if (which !== 'committed') return;
    // The entry is there, or the answer is without one: the step was refused.
    while ((await entriesIn()) === before) if ((await Promise.race([answer, turn('working')])) === 'answered') return;
  }

  /** Kills the hub during the step, and repeats the step on the next hub where it was not done. */
  async function step(what: string, isDone: (overview: Overview) => boolean, act: (ask: Ask) => Promise<unknown>) {
    await using doomed = await start();
    assert.ok(!isDone(await look(doomed)), what);
    const before = await entriesIn();
    const which = moments[steps % moments.length] ?? 'sent';
    steps += 1;
    const acting = act(asking(doomed)).catch(() => undefined);
    await moment(acting, before, which);
    await doomed.kill();
    await acting;
    await using next = await start();
    const survived = isDone(await look(next));
    if (!survived) await act(asking(next));
    assert.ok(isDone(await look(next)), what);
    assert.equal(await next.stop(), 0);
    assert.ok(survived || which === 'sent', `${what} was lost when it was ${which}`);
    t.diagnostic(`${what}, killed when ${which}: ${survived ? 'done before the kill' : 'done again'}`);
  }

  let version = 1;
  let signing = root;
  for (let round = 0; round < rounds; round += 1) {
    for (const rollsOver of [false, true]) {
      if (rollsOver) {
        const successor = await signing.successor(join(world.folder, `root-${version + 1}`));
        const certificates = await signing.introduce(successor);
        const has = ({ roots }: Overview) => roots.length > version;
        await step('announce', has, (ask) => ask('roots', { certificates }, authorityOverview));
        version += 1;
        signing = successor;
      }
      // A request whose response was lost in the kill waits and is read again; a key without a request is useless.
      const waiting = ({ issuing }: Overview) => issuing.filter(({ status }) => status === 'requested');
      const isWaiting = (overview: Overview) => waiting(overview).length === 3;
      await step('request', isWaiting, (ask) => ask('request', {}, issuingRequestResponse));
      await using between = await start();
      const requests = waiting(await look(between));
      await between.stop();
      const certificates = await signing.signIssuing(requests.map(({ request }) => request ?? '').join(''));
      const isNow = (wanted: string) => (overview: Overview) =>
        requests.every(({ id }) => overview.issuing.some((each) => each.id === id && each.status === wanted));
      await step('install', isNow('next'), (ask) => ask('install', { certificates }, authorityOverview));
      for (const { id, class: each } of requests) {
        const isActive = ({ issuing }: Overview) => issuing.some((one) => one.id === id && one.status === 'active');
        await step(`activate ${each}`, isActive, (ask) => ask(`issuing/${id}/activate`, {}, authorityOverview));
      }
    }
    await using hub = await start();
    const stale = (await look(hub)).issuing.find(({ status }) => status === 'retiring' || status === 'retired');
    await hub.stop();
    assert.equal(stale?.status, 'retired', 'one without certificates retires at once');
  }
  await using hub = await start();
  const old = (await look(hub)).issuing.find((each) => each.status === 'active' && each.class === 'device')?.id ?? '';
  const { request } = await asking(hub)('request', {}, issuingRequestResponse);
  await asking(hub)('install', { certificates: await signing.signIssuing(request) }, authorityOverview);
  await hub.stop();
  const isRevoked = ({ issuing }: Overview) => issuing.some(({ id, status }) => id === old && status === 'revoked');
  await step('revoke', isRevoked, (ask) => ask(`issuing/${old}/revoke`, { note: 'stolen' }, issuingRevokeResponse));

  const all = 'select serial from certificate union all select serial from hub_certificate';
  const serials = await rowsIn(world.place, all);
  assert.equal(new Set(serials.map(({ serial }) => serial)).size, serials.length, 'two certificates with one serial');
});

/** What the steps themselves log; the hub logs of its own accord what retires. */
const stepKinds = /^(?:issuing-authority-(?:requested|installed|activated|revoked)|root-announced)$/;
