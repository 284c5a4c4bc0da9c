// The common part of `npm run bench` and `npm run soak`: the measurements are the files of one folder; runs the named ones, or all. Full
// runs are kept in bench/results and docs/performance.md; quick ones only with --keep. Exit code 1 when a budget is missed, 2 for invalid
// arguments.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Benchmark, Harness } from './harness.ts';
import { keep } from './report.ts';
import { endAllOnSignal, ownFolder } from './fleet/owned.ts';

export interface MeasurementFolder {
  /** As people type it: `bench`. */
  readonly command: string;
  readonly path: string;
  /** Files in the folder that are no measurements. */
  readonly others: readonly string[];
}

export async function measurementCommand(folder: MeasurementFolder): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { quick: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  endAllOnSignal();
  const names = await namesIn(folder);
  const unknown = positionals.filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    console.error(`${folder.command}: there is no ${unknown.join(', ')}; there are: ${names.join(', ')}`);
    return 2;
  }
  let missed = 0;
  for (const name of positionals.length === 0 ? names : positionals) {
    missed += await runOne(await load(folder, name), values.quick, values.keep || !values.quick);
  }
  return missed === 0 ? 0 : 1;
}

async function namesIn({ path, others }: MeasurementFolder): Promise<readonly string[]> {
  const files = await readdir(path);
  return files
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !others.includes(file))
    .map((file) => file.slice(0, -'.ts'.length))
    .toSorted();
}

async function load({ path }: MeasurementFolder, name: string): Promise<Benchmark> {
  const file = join(path, `${name}.ts`);
  const module: { readonly bench?: Benchmark } = await import(file);
  if (module.bench === undefined) throw new Error(`${file} exports no \`bench\``);
  return module.bench;
}

async function runOne(bench: Benchmark, quick: boolean, kept: boolean): Promise<number> {
  const scratch = ownFolder(await mkdtemp(join(tmpdir(), 'edgekeep-bench-')));
  try {
    console.log(`${bench.name}: ${bench.title}`);
    const harness = new Harness(quick, scratch, (line) => console.log(line));
    await bench.run(harness);
    const findings = harness.findings();
    if (kept) await keep(bench, findings, quick, new Date());
    return findings.verdicts.filter((verdict) => !verdict.kept).length;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
