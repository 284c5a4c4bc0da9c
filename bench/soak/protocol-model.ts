// The model of the protocol (spec/model) within wider bounds than `npm test` has time for: every state of each scenario is visited.
import { checkModel, type ModelRun, readModel } from '../../tests/support/spin.ts';
import type { Benchmark } from '../harness.ts';

const MEBIBYTES_MAX = 5_000;
const quick: readonly ModelRun[] = [{ scenario: 'keys', bounds: ['ORDERS=2', 'RELEASES=1'] }];
const wide: readonly ModelRun[] = [
  { scenario: 'keys', bounds: ['ORDERS=2', 'RELEASES=2', 'BUDGET=2'] },
  { scenario: 'keys', bounds: ['ORDERS=2', 'RELEASES=1', 'CRASHES=2'] },
  { scenario: 'keys', bounds: ['ORDERS=1', 'RELEASES=3', 'BUDGET=2'] },
  { scenario: 'identity', bounds: ['EXPECTED=0'] },
  { scenario: 'identity', bounds: ['ENROLLMENTS=3', 'CERTIFICATIONS=0', 'CRASHES=0'] },
  { scenario: 'identity', bounds: ['CERTIFICATIONS=2', 'CRASHES=0', 'EXPECTED=0'] },
  { scenario: 'people' },
];

export const bench: Benchmark = {
  name: 'protocol-model',
  title: 'A model of the protocol, searched whole',
  budget: 'no order in which devices, operators, thieves, the log and crashes can come breaks a property of spec/model',
  async run(harness) {
    const sources = await readModel();
    for (const run of harness.quick ? quick : wide) {
      const name = [run.scenario, ...(run.bounds ?? [])].join(' ');
      const { broken, states, seconds } = await checkModel(sources, run, { maxMebibytes: MEBIBYTES_MAX });
      harness.figure(`states of ${name}`, states, 'states');
      harness.figure(`time for ${name}`, seconds, 's');
      harness.verdict(
        broken === undefined,
        broken === undefined ? `${name}: no property is broken` : `${name}: ${broken}`,
      );
    }
    harness.note('A search that does not visit every state is an error, and no figure.');
  },
};
