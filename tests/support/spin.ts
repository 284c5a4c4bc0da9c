// Checks a scenario of spec/model with SPIN: makes the checker, compiles it, runs it, and reads what it says. Only a search that visited every
// state and was not cut short counts as one that found nothing.
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const modelFolder = join(import.meta.dirname, '../../spec/model');

/** The file that each text came from, as `spin` includes it. */
export type ModelSources = ReadonlyMap<string, string>;

export interface ModelRun {
  /** The file without `.pml`. */
  readonly scenario: string;
  /** Bounds of this run, for example `RELEASES=2`. */
  readonly bounds?: readonly string[];
  /** A property over whole runs, by its name; without it every state is compared with the properties that must never be broken. */
  readonly ltl?: string;
}

export interface ModelVerdict {
  /** The property that a counterexample breaks. */
  readonly broken: string | undefined;
  readonly states: number;
  readonly seconds: number;
  /** Steps of the processes that no run takes. */
  readonly unreached: readonly string[];
}

// A checker that needs more has left its bounds.
const MEBIBYTES_MAX = 1_500;
const STEPS_MAX = 5_000_000;

export async function readModel(): Promise<ModelSources> {
  const names = (await readdir(modelFolder)).filter((name) => name.endsWith('.pml'));
  const texts = names.map(async (name) => [name, await readFile(join(modelFolder, name), 'utf8')] as const);
  return new Map(await Promise.all(texts));
}

/** The names of all properties of the model, in the order of its files. */
export function propertiesIn(sources: ModelSources): readonly string[] {
  const named = [...sources.values()].flatMap((text) => [
    ...text.matchAll(/(?<!#define )\bforbid\((\w+),|^ltl (\w+) \{/gm),
  ]);
  return [...new Set(named.map(([, never = '', always = '']) => never || always))];
}

/** Throws when the search did not end with a verdict about every state. */
export async function checkModel(
  sources: ModelSources,
  { scenario, bounds = [], ltl }: ModelRun,
  { maxMebibytes = MEBIBYTES_MAX, optimize = true } = {},
): Promise<ModelVerdict> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-model-'));
  try {
    for (const [name, text] of sources) await writeFile(join(folder, name), text);
    const defines = bounds.map((bound) => `-D${bound}`);
    const made = await run('spin', [...defines, '-a', `${scenario}.pml`], folder);
    if (made.code !== 0 || /Error/.test(made.output)) throw new TypeError(`spin: ${made.output}`);
    const kind = ltl === undefined ? ['-DSAFETY', '-DNOCLAIM'] : ['-DNFAIR=4'];
    const flags = [
      '-w',
      optimize ? '-O1' : '-O0',
      `-DMEMLIM=${maxMebibytes}`,
      ...(maxMebibytes > MEBIBYTES_MAX ? ['-DCOLLAPSE'] : []),
      ...kind,
    ];
    const compiled = await run('cc', [...flags, '-o', 'pan', 'pan.c'], folder);
    if (compiled.code !== 0) throw new TypeError(`cc: ${compiled.output}`);
    const search = ltl === undefined ? [] : ['-a', '-f', '-N', ltl];
    const { output, code } = await run('./pan', [...search, `-m${STEPS_MAX}`, optimize ? '-w22' : '-w18'], folder);
    return verdictIn(output, code, ltl);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function verdictIn(output: string, code: number | null, ltl: string | undefined): ModelVerdict {
  const errors = /errors: (\d+)$/m.exec(output)?.[1];
  const states = Number(/^\s*([\d.e+]+) states, stored/m.exec(output)?.[1]);
  const seconds = Number(/elapsed time ([\d.]+) seconds/.exec(output)?.[1]);
  const [, never, cycle, stuck] =
    /^pan:\d+: (?:assertion violated {1,2}!\((\w+)\)|(acceptance cycle)|(invalid end state))/m.exec(output) ?? [];
  const broken = never ?? (cycle === undefined ? undefined : ltl) ?? (stuck === undefined ? undefined : stuck);
  if (broken !== undefined) return { broken, states, seconds, unreached: [] };
  const isCutShort = /Search not completed|max search depth|out of memory|MEMLIM|aborted|BITSTATE/.test(output);
  if (code !== 0 || errors !== '0' || isCutShort || !Number.isSafeInteger(states)) {
    throw new TypeError(`the search gave no verdict: ${output}`);
  }
  return { broken, states, seconds, unreached: unreachedIn(output) };
}

// The end of a process that goes on for ever, and the moment at which a request ends with its hub, before each of its steps.
const expected = /"-end-"|"\(\(start!=mine\)\)"/;

function unreachedIn(output: string): readonly string[] {
  return output
    .split(/^unreached in /m)
    .slice(1)
    .filter((section) => section.startsWith('proctype'))
    .flatMap((section) => {
      const [process = '', ...lines] = section.split('\n');
      return lines
        .filter((line) => line.startsWith('\t') && !line.startsWith('\t(') && !expected.test(line))
        .map((line) => `${process}:${line.replace(/, state \d+,/, '').replaceAll('\t', ' ')}`);
    });
}

async function run(
  program: string,
  args: readonly string[],
  folder: string,
): Promise<{ readonly output: string; readonly code: number | null }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (part: string) => (output += part);
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.once('error', reject);
    child.once('close', (code) => resolve({ output, code }));
  });
}
