// docs/agent-causes.md, walked: each row of its table is provoked on a TPM simulator, and agent, doctor and exit status are what the row says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { simulatorTools, skipWithout } from '@edgekeep/hardware/tpm/testing';
import { edgekeep } from './main-job/edgekeep.ts';
import { causes, type Cause } from './support/tpm-causes.ts';
import { CauseBench } from './support/cause-bench.ts';

const skip = await skipWithout(...simulatorTools, 'tpm2_quote');

interface Row {
  readonly name: string;
  readonly cause: string;
  readonly code: string;
  readonly agent: string;
  readonly doctor: string;
}

const page = readFileSync(join(import.meta.dirname, '../docs/agent-causes.md'), 'utf8');
const table = page.slice(page.indexOf('## The table'), page.indexOf('## What is tried again'));
const rows: readonly Row[] = table
  .split('\n')
  .filter((line) => /^\| [a-z0-9-]+ \| /.test(line) && !line.startsWith('| row |'))
  .map((line) => {
    const [name = '', cause = '', code = '', agent = '', doctor = ''] = line.slice(2, -2).split(' | ');
    return { name, cause, code: code.replaceAll('`', ''), agent, doctor };
  });
const notHere = (row: Row) => row.cause.includes('Not provoked here');

let bench: CauseBench;
before(async () => {
  if (skip === false) bench = await CauseBench.open();
});
after(() => bench?.[Symbol.asyncDispose]());

test('each row of the table is provoked below, or says why it is not', () => {
  assert.ok(rows.length > 25, `only ${rows.length} rows`);
  const provoked = rows.filter((row) => !notHere(row)).map(({ name }) => name);
  assert.deepEqual(provoked.toSorted(), Object.keys(causes).toSorted());
});

for (const row of rows.filter((each) => !notHere(each))) {
  test(`${row.name}: agent, doctor and exit status are those of the table`, { skip }, async () => {
    const provoke: Cause | undefined = causes[row.name];
    assert.ok(provoke !== undefined);
    const machine = await provoke(bench);
    // The doctor first: it finds the cause before the agent runs, and changes nothing.
    const [state = '', ...subject] = row.doctor.split(' ');
    const findings = await bench.doctor(machine);
    const found = findings.find((each) => each.subject === subject.join(' ') && mentions(each.found, row));
    assert.equal(found?.state, state, JSON.stringify(findings.slice(0, 12)));
    assert.equal(found?.next === undefined, state === 'ok');
    if (row.agent === 'stops') {
      const { status, error, events } = await bench.runToItsEnd(machine);
      assert.equal(error?.code, row.code);
      assert.equal(status, row.cause.includes('(exit status 3)') ? 3 : 6);
      assert.ok(events.every(({ kind }) => kind !== 'hub-unreachable' && kind !== 'enrolled'));
      return;
    }
    const codes = await bench.runToItsHub(machine);
    if (row.agent === 'event') assert.ok(codes.includes(row.code), codes.join());
    else assert.deepEqual(codes, ['started', 'hub-unreachable']);
  });
}

test('a TPM that is not there ends every program with one exit status', { skip }, async () => {
  const machine = await bench.machine(`unix:${join(bench.folder, 'nowhere.sock')}`);
  const { status } = await bench.runToItsEnd(machine);
  const sealed = join(bench.folder, 'sealed');
  const other = await edgekeep('secrets', 'tpm-seal', sealed, '--tpm', `unix:${join(bench.folder, 'nowhere.sock')}`);
  assert.deepEqual([status, other.code], [6, 6]);
  assert.match(other.stderr, /^edgekeep: tpm-unreachable: /);
});

function mentions(found: string, { code }: Row): boolean {
  return code === 'none' ? true : found.includes(`(${code})`);
}
