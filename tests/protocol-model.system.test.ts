// The model of the protocol (spec/model), checked by SPIN: every state is visited and no property is broken; and each rule that is taken out of
// the model breaks the property that it is there for. `npm run soak -- protocol-model` searches wider bounds.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { mutated, mutations } from './support/protocol-mutations.ts';
import { checkModel, modelFolder, type ModelRun, type ModelSources, propertiesIn, readModel } from './support/spin.ts';

/** Bounds that are searched in seconds: each scenario once without what would only multiply its states. */
const runs: readonly ModelRun[] = [
  { scenario: 'keys', bounds: ['ORDERS=1'] },
  { scenario: 'keys', bounds: ['ORDERS=2', 'RELEASES=1', 'CRASHES=0'] },
  { scenario: 'identity', bounds: ['CRASHES=0', 'EXPECTED=0'] },
  { scenario: 'identity', bounds: ['CERTIFICATIONS=0'] },
  { scenario: 'people', bounds: ['APPROVALS=1'] },
  { scenario: 'people', bounds: ['REQUESTS=1'] },
  { scenario: 'sessions' },
];
const overWholeRuns: readonly ModelRun[] = [
  { scenario: 'keys', bounds: ['ORDERS=1', 'RELEASES=1'], ltl: 'every_entry_is_signed' },
  { scenario: 'sessions', ltl: 'two_places_are_noticed' },
];
/** A step that nobody can take: the genuine device never shows evidence of another connection. */
const neverTaken = ['proctype Device: bind.pml:26 "alerted = 1"'];

const titleOf = ({ scenario, bounds = [], ltl }: ModelRun) => [scenario, ...bounds, ltl ?? []].flat().join(' ');

suite('the model of the protocol', { skip: await skipWithout('spin', 'cc') }, () => {
  let sources: ModelSources;
  const unreached = new Map<string, readonly string[]>();
  before(async () => {
    sources = await readModel();
  });

  // SECURITY.md: HUB-04, HUB-05, HUB-12, HUB-14, HUB-18, HUB-32, HUB-54, HUB-55, HUB-59, NET-05, DEV-09, DEV-25
  for (const run of runs) {
    test(`no state of ${titleOf(run)} breaks a property`, async (t) => {
      const {
        broken,
        states,
        seconds,
        unreached: steps,
      } = await checkModel(sources, run, { optimize: run.scenario !== 'sessions' });
      t.diagnostic(`${states} states in ${seconds} s`);
      assert.equal(broken, undefined);
      assert.ok(states > 10_000, `only ${states} states: the scenario is too small to show anything`);
      const before = unreached.get(run.scenario) ?? steps;
      unreached.set(
        run.scenario,
        before.filter((step) => steps.includes(step)),
      );
    });
  }

  test('every step of every process is taken in some run', () => {
    assert.deepEqual([...unreached.keys()].toSorted(), ['identity', 'keys', 'people', 'sessions']);
    assert.deepEqual([...unreached.values()].flat(), neverTaken);
  });

  // SECURITY.md: HUB-32, DEV-09, DEV-11
  for (const run of overWholeRuns) {
    test(`no run of ${titleOf(run)} goes on for ever against it`, async (t) => {
      const { broken, states, seconds } = await checkModel(sources, run);
      t.diagnostic(`${states} states in ${seconds} s`);
      assert.equal(broken, undefined);
    });
  }

  suite('without one of its rules', { concurrency: 2 }, () => {
    for (const mutation of mutations) {
      test(`when ${mutation.name}, ${mutation.breaks} is broken`, async () => {
        const { broken } = await checkModel(mutated(sources, mutation), mutation.run, { optimize: false });
        assert.equal(broken, mutation.breaks);
      });
    }
  });
});

test('each property of the model is broken by a mutation, and explained in its page', async () => {
  const properties = propertiesIn(await readModel());
  assert.ok(properties.length > 25, `found ${properties.length}`);
  const broken = new Set(mutations.map(({ breaks }) => breaks));
  assert.deepEqual(properties.toSorted(), [...broken].toSorted());
  const page = readFileSync(join(modelFolder, 'README.md'), 'utf8');
  const explained = [...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, name = '']) => name);
  assert.deepEqual(explained.toSorted(), properties.toSorted());
});
