// `npm run bench [-- NAME…] [--quick] [--keep]`: runs the named benchmarks, or all. Full runs are kept in bench/results and
// docs/performance.md; quick ones only with --keep. Exit code 1 when a budget is missed, 2 for wrong words.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Benchmark, Harness } from './harness.ts';
import { keep } from './report.ts';

// Beside the benchmarks in this folder, and not one of them.
const frame = new Set(['harness.ts', 'main.ts', 'report.ts']);

process.exitCode = await main();

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { quick: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const names = await benchmarkNames();
  const unknown = positionals.filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    console.error(`bench: no such benchmark: ${unknown.join(', ')}; there are: ${names.join(', ')}`);
    return 2;
  }
  let missed = 0;
  for (const name of positionals.length === 0 ? names : positionals) {
    missed += await runOne(await load(name), values.quick, values.keep || !values.quick);
  }
  return missed === 0 ? 0 : 1;
}

async function benchmarkNames(): Promise<readonly string[]> {
  const files = await readdir(import.meta.dirname);
  return files
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !frame.has(file))
    .map((file) => file.slice(0, -'.ts'.length))
    .toSorted();
}

async function load(name: string): Promise<Benchmark> {
  const module: { readonly bench?: Benchmark } = await import(`./${name}.ts`);
  if (module.bench === undefined) throw new Error(`bench/${name}.ts exports no \`bench\``);
  return module.bench;
}

async function runOne(bench: Benchmark, quick: boolean, kept: boolean): Promise<number> {
  const scratch = await mkdtemp(join(tmpdir(), 'edgekeep-bench-'));
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
