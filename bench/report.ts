// Stores the results of a benchmark as JSON and writes them as tables between markers in docs/performance.md. A result names the machine's
// make, never its name, its user or a path.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Benchmark, type Comparison, type Findings, number, type PeerResult, rateText } from './harness.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const resultsFolder = join(root, 'bench', 'results');
const page = join(root, 'docs', 'performance.md');

export interface Result {
  readonly type: 'edgekeep-bench/v1';
  readonly name: string;
  readonly title: string;
  readonly budget: string;
  /** The day of the run, as YYYY-MM-DD. */
  readonly day: string;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly findings: Findings;
}

interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly platform: string;
  readonly node: string;
}

/** Writes `bench/results/<name>.json` and updates that benchmark's part of docs/performance.md. */
export async function keep(bench: Benchmark, findings: Findings, quick: boolean, now: Date): Promise<void> {
  const result: Result = {
    type: 'edgekeep-bench/v1',
    name: bench.name,
    title: bench.title,
    budget: bench.budget,
    day: now.toISOString().slice(0, 10),
    quick,
    machine: machine(),
    findings,
  };
  await mkdir(resultsFolder, { recursive: true });
  await writeFile(join(resultsFolder, `${bench.name}.json`), `${JSON.stringify(result, null, 2)}\n`);
  await renewPage();
}

/** Rewrites every part of docs/performance.md from the kept results; text outside the markers is left alone. */
async function renewPage(): Promise<void> {
  let text = await readFile(page, 'utf8');
  const files = (await readdir(resultsFolder)).filter((file) => file.endsWith('.json')).toSorted();
  for (const file of files) {
    const result: Result = JSON.parse(await readFile(join(resultsFolder, file), 'utf8'));
    text = withSection(text, result);
  }
  await writeFile(page, text);
}

function withSection(text: string, result: Result): string {
  const begin = `<!-- bench:${result.name}: written by npm run bench -->`;
  const end = `<!-- /bench:${result.name} -->`;
  const section = `${begin}\n${sectionOf(result)}\n${end}`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from === -1 || to === -1) return `${text.trimEnd()}\n\n${section}\n`;
  return text.slice(0, from) + section + text.slice(to + end.length);
}

function sectionOf({ title, budget, day, quick, machine, findings }: Result): string {
  const taken = `Taken ${day}${quick ? ' with --quick' : ''} on ${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, Node ${machine.node}.`;
  return [
    `## ${title}`,
    `Budget: ${budget}.\n\n${taken}`,
    ...findings.comparisons.map(comparisonTable),
    ...(findings.figures.length === 0 ? [] : [figureTable(findings)]),
    ...findings.verdicts.map((verdict) => `- **${verdict.kept ? 'Kept' : 'Missed'}**: ${verdict.statement}`),
    ...findings.notes,
  ]
    .join('\n\n')
    .replaceAll(/^(- .*)\n\n(?=- )/gm, '$1\n');
}

function comparisonTable({ title, unit, rounds, peers }: Comparison): string {
  const rows = peers.map((peer) => `| ${row(peer, unit).join(' | ')} |`);
  return [
    `### ${title}`,
    '',
    `Median of ${rounds} rounds; speed against the first row, with the least and the most of any round.`,
    '',
    '| | time | rate | speed | least | most | processor time | peak RSS |',
    '|---|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function row(peer: PeerResult, unit: string): readonly string[] {
  if (peer.missing !== undefined) return [peer.name, `missing: ${peer.missing}`, '', '', '', '', '', ''];
  const { wallMs, rate, ratio, cpuMs, peakRssBytes } = peer;
  return [
    peer.name,
    wallMs === undefined ? '' : `${number(wallMs.median)} ms`,
    rate === undefined ? '' : rateText(rate.median, unit),
    ratio === undefined ? '' : `${ratio.median.toFixed(2)}x`,
    ratio === undefined ? '' : ratio.least.toFixed(2),
    ratio === undefined ? '' : ratio.most.toFixed(2),
    cpuMs === undefined ? '' : `${number(cpuMs.median)} ms`,
    peakRssBytes === undefined ? '' : `${number(peakRssBytes.median / 2 ** 20)} MiB`,
  ];
}

function figureTable({ figures }: Findings): string {
  const rows = figures.map(({ name, value, unit }) => `| ${name} | ${number(value)} ${unit} |`);
  return ['| figure | value |', '|---|---|', ...rows].join('\n');
}

function machine(): Machine {
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() ?? 'unknown processor',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
  };
}
