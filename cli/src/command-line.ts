// `edgekeep`: finds the verb, parses its arguments, runs it, prints its outcome as text or JSON, and maps errors to exit codes.
import { messageOf } from '@edgekeep/core/message-of';
import { parseArgs } from 'node:util';
import manifest from '../package.json' with { type: 'json' };
import { counted } from '@edgekeep/core/counted';
import { type Arguments, type Command, type Outcome, exitCodes, UsageError } from './command.ts';
import { withPresentOptions, withPresentVerb } from './former-names.ts';
import { helpOf, listed, overview } from './help.ts';
import { nearest } from './nearest.ts';
import { codeOf, report, type Streams, writeError } from './report.ts';
import { verbs } from './verbs.ts';

/** Runs one command line; returns the exit code. */
export async function runCommandLine(words: readonly string[], streams: Streams = process): Promise<number> {
  if (words.length === 1 && ['--version', '-V', 'version'].includes(words[0] ?? '')) {
    streams.stdout.write(`edgekeep ${manifest.version}\n`);
    return exitCodes.ok;
  }
  const argv = withPresentVerb(withLongHelp(words[0] === 'help' ? [...words.slice(1), '--help'] : words));
  const found = findCommand(argv);
  if (found === undefined) {
    const [first, second] = argv;
    const asked = first === undefined || [first, second].includes('--help');
    if (asked) streams.stdout.write(overview(verbs, first));
    else if (beforeDashes(argv).includes('--json'))
      writeError({ code: 'usage', message: noSuchVerb(argv).trimEnd() }, { streams });
    else streams.stderr.write(noSuchVerb(argv));
    return asked ? exitCodes.ok : exitCodes.usage;
  }
  const command = await found.verb.load(verbs);
  const json = beforeDashes(found.rest).includes('--json');
  try {
    if (beforeDashes(found.rest).includes('--help')) {
      streams.stdout.write(helpOf(found.verb, command));
      return exitCodes.ok;
    }
    const outcome = await command.run(parse(command, found.rest));
    print(outcome, json, streams);
    return outcome.exitCode;
  } catch (error) {
    const stdoutTaken = command.bytesOnStdout ?? beforeDashes(found.rest).includes('-');
    return report(error, command.usage, { json, stdoutTaken, streams });
  }
}

function findCommand(argv: readonly string[]) {
  for (const words of [3, 2, 1]) {
    const name = argv.slice(0, words).join(' ');
    const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
    if (verb !== undefined && argv.length >= words) return { verb, rest: argv.slice(words) };
  }
  return undefined;
}

// `-h` is `--help`, before the words of another program.
function withLongHelp(argv: readonly string[]): readonly string[] {
  const own = beforeDashes(argv);
  return [...own.map((word) => (word === '-h' ? '--help' : word)), ...argv.slice(own.length)];
}

function beforeDashes(argv: readonly string[]): readonly string[] {
  const dashes = argv.indexOf('--');
  return dashes === -1 ? argv : argv.slice(0, dashes);
}

function parse(command: Command, argv: readonly string[]): Arguments {
  const own = withPresentOptions(command, beforeDashes(argv));
  const rest = argv.slice(own.length + 1);
  let parsed;
  try {
    parsed = parseArgs({
      args: [...own],
      options: { ...command.options, json: { type: 'boolean' } },
      allowPositionals: true,
      strict: true,
    });
  } catch (cause) {
    const text = messageOf(cause);
    throw new UsageError(unknownOption(cause, command, own) ?? missingValue(text) ?? text, { cause });
  }
  const { positionals } = parsed;
  const values: Readonly<Record<string, unknown>> = parsed.values;
  const fault = wrongNumber(positionals, command);
  if (fault !== undefined) throw new UsageError(fault);
  const all = (name: string): readonly string[] => {
    const value: unknown = values[name];
    const list: unknown[] = Array.isArray(value) ? value : value === undefined ? [] : [value];
    return list.filter((entry) => typeof entry === 'string');
  };
  const option = (name: string) => all(name).at(-1);
  return {
    positionals,
    rest,
    all,
    option,
    required: (name) => {
      const value = option(name);
      if (value === undefined) throw new UsageError(`--${name} is required`);
      return value;
    },
    flag: (name) => values[name] === true,
  };
}

function print(outcome: Outcome, json: boolean, streams: Streams): void {
  const stream = outcome.stdoutTaken === true ? streams.stderr : streams.stdout;
  if (json && outcome.value !== undefined) stream.write(`${JSON.stringify(outcome.value, null, 2)}\n`);
  else if (outcome.text !== '') stream.write(`${outcome.text.trimEnd()}\n`);
}

function wrongNumber(found: readonly string[], { positionals: { min, max } }: Command): string | undefined {
  if (found.length > max) {
    const [surplus = ''] = found.slice(max);
    return `unexpected argument: ${surplus} (a value with spaces needs quotes)`;
  }
  if (found.length >= min) return undefined;
  return `expected ${min === max ? '' : 'at least '}${counted(min, 'argument')}, found ${found.length}`;
}

// The nearest known option beside one that is unknown.
function unknownOption(cause: unknown, { options }: Command, words: readonly string[]): string | undefined {
  if (codeOf(cause) !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return undefined;
  const known = [...Object.keys(options), 'json', 'help'];
  const typed = words
    .map((word) => /^--?([^=-][^=]*)/.exec(word)?.[1])
    .find((name) => name !== undefined && !known.includes(name));
  if (typed === undefined) return undefined;
  const [meant] = nearest(typed, known);
  const dashes = words.some((word) => word.startsWith(`--${typed}`)) ? '--' : '-';
  return `unknown option ${dashes}${typed}${meant === undefined ? '' : `; did you mean --${meant}?`}`;
}

// Node's words for an option at the end of the line: "Option '--filter <value>' argument missing".
function missingValue(text: string): string | undefined {
  const [, option] = /^Option '(?:-\w, )?(--[a-z0-9-]+) <value>' argument missing$/.exec(text) ?? [];
  return option === undefined ? undefined : `${option} needs a value`;
}

function noSuchVerb(argv: readonly string[]): string {
  const typed = argv.join(' ');
  const names = Object.keys(verbs);
  const [subject = ''] = argv;
  if (argv.length === 1 && names.some((name) => name.startsWith(`${subject} `)))
    return overview(verbs, subject, `${subject} needs a verb after it:`);
  const [meant = []] = [3, 2, 1]
    .map((words) =>
      nearest(
        argv.slice(0, words).join(' '),
        names.filter((name) => name.split(' ').length === words),
      ),
    )
    .filter((found) => found.length > 0);
  if (meant.length === 0) {
    if (names.some((name) => name.startsWith(`${subject} `))) return overview(verbs, subject, `no such verb: ${typed}`);
    const [near] = nearest(subject, Object.keys(Object.groupBy(names, (name) => name.split(' ')[0] ?? name)));
    const next = near === undefined ? 'edgekeep help lists the subjects' : `did you mean edgekeep ${near}?`;
    return `edgekeep: no such verb: ${typed}; ${next}\n`;
  }
  return listed(
    `no such verb: ${typed}; did you mean:`,
    Object.entries(verbs).filter(([name]) => meant.includes(name)),
  );
}
