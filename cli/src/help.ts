// The texts of `--help` and the list of verbs. A verb writes its help as paragraphs and as entries, `--option  what it means`, with two
// spaces or more between; here both are laid out in the same way for every verb.
import { type Command, exitCodesHelp } from './command.ts';
import type { Verb, Verbs } from './verb.ts';

/** Fits a terminal beside a page. */
const WIDTH = 100;
/** The text of an entry with a longer term begins on the next line. */
const TERM_WIDTH_MAX = 22;
/** Where the verbs of a subject begin. */
const COLUMN = 20;
/** A longer group of options is split between its words. */
const GROUP_WIDTH_MAX = 60;
const jsonEntry = '--json  print the outcome, or the error, as JSON';

export function helpOf({ summary, example }: Verb, { usage, help, options }: Command): string {
  const parts = [
    usageText(`${usage} [--json]`),
    `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`,
    laidOut(`${help.trim()}\n${jsonEntry}`, (term) => withValue(term, usage, options)),
    `example: edgekeep ${example}`,
    wrapped(exitCodesHelp),
  ];
  return `${parts.join('\n\n')}\n`;
}

/** The usage line; an option and its value stay on one line. */
export function usageText(usage: string): string {
  const groups = usage.match(/\[(?:[^[\]]|\[[^\]]*\])*\]\S*|\([^)]*\)\S*|--[a-z0-9-]+ [^\s[(]+|\S+/g) ?? [];
  const pieces = groups.flatMap((group) => (group.length > GROUP_WIDTH_MAX ? group.split(' ') : group));
  return wrapped(['usage: edgekeep', ...pieces], '       ');
}

/** The verbs of one subject with a line each when `subject` is one, else all subjects with the names of their verbs. */
export function overview(verbs: Verbs, subject: string | undefined, title = purpose): string {
  const own = Object.entries(verbs).filter(([name]) => subjectOf(name) === subject);
  return own.length === 0 ? subjects(verbs, title) : listed(title, own);
}

const purpose = 'keys for models, only to devices that prove what they are';

function subjects(verbs: Verbs, title: string): string {
  const all = Object.groupBy(Object.keys(verbs), subjectOf);
  const lines = Object.entries(all).map(([subject, names = []]) => {
    const own = names.map((name) => name.slice(subject.length + 1)).filter((name) => name !== '');
    const words =
      own.length === 0
        ? (verbs[subject]?.summary ?? '').split(' ')
        : own.map((name, at) => (at < own.length - 1 ? `${name},` : name));
    return wrapped(words, ' '.repeat(COLUMN), `  ${subject}`.padEnd(COLUMN));
  });
  const ending =
    'edgekeep SUBJECT lists its verbs with a line each, edgekeep help VERB explains one. docs/cli.md has all of them.';
  return `${[`edgekeep: ${title}`, lines.join('\n'), wrapped(ending)].join('\n\n')}\n`;
}

export function listed(title: string, shown: readonly (readonly [string, Verb])[]): string {
  const subjects = Object.values(Object.groupBy(shown, ([name]) => subjectOf(name)));
  const groups = subjects.map((group = []) =>
    group.map(([name, { summary }]) => `  ${name.padEnd(26)}${summary}`).join('\n'),
  );
  const ending = 'edgekeep help VERB explains one verb. All of them are in docs/cli.md, with the exit codes.';
  return `${[`edgekeep: ${title}`, ...groups, ending].join('\n\n')}\n`;
}

const subjectOf = (name: string) => name.split(' ')[0] ?? name;

interface Entry {
  readonly term: string;
  readonly words: string;
}

// `--filter` with the name of its value, as the usage has it: `--filter RSQL`.
function withValue(term: string, usage: string, options: Command['options']): string {
  const name = /^--([a-z0-9-]+)$/.exec(term)?.[1];
  if (name === undefined || options[name]?.type !== 'string') return term;
  const value =
    new RegExp(`${term} ((?:[^\\s[\\])…]|\\[[^\\s\\]]*\\])+)`).exec(usage)?.[1] ??
    (name === 'operator' ? 'FILE' : undefined);
  return value === undefined ? term : `${term} ${value}`;
}

// A line that begins with three spaces or more continues the entry before it.
function laidOut(help: string, termText: (term: string) => string): string {
  const blocks: (string | Entry)[] = [];
  let open = false;
  for (const line of help.split('\n')) {
    const last = blocks.at(-1);
    const [, term, words] = /^ {0,2}(\S.*?) {2,}(\S.*)$/.exec(line) ?? [];
    if (term !== undefined && words !== undefined) blocks.push({ term: termText(term), words });
    else if (open && typeof last === 'object' && line.startsWith('   '))
      blocks[blocks.length - 1] = { ...last, words: `${last.words} ${line.trim()}` };
    else if (open && typeof last === 'string') blocks[blocks.length - 1] = `${last} ${line.trim()}`.trim();
    else if (line.trim() !== '') blocks.push(line.trim());
    open = line.trim() !== '';
  }
  const terms = blocks.flatMap((block) => (typeof block === 'object' ? [block.term.length] : []));
  const column = Math.max(0, ...terms.filter((length) => length <= TERM_WIDTH_MAX)) + 4;
  const texts = blocks.map((block) => (typeof block === 'string' ? wrapped(block) : entryText(block, column)));
  return texts
    .map((text, at) => (at > 0 && !(isEntry(blocks[at]) && isEntry(blocks[at - 1])) ? `\n${text}` : text))
    .join('\n');
}

const isEntry = (block: string | Entry | undefined) => typeof block === 'object';

function entryText({ term, words }: Entry, column: number): string {
  const indent = ' '.repeat(column);
  if (term.length > TERM_WIDTH_MAX) return `  ${term}\n${wrapped(words, indent, indent)}`;
  return wrapped(words, indent, `  ${term}`.padEnd(column));
}

function wrapped(text: string | readonly string[], indent = '', first = ''): string {
  const lines: string[] = [];
  let line = first;
  for (const word of typeof text === 'string' ? text.split(' ') : text) {
    const next = line === first || line === indent ? line + word : `${line} ${word}`;
    if (next.length <= WIDTH || line === first || line === indent) line = next;
    else {
      lines.push(line);
      line = indent + word;
    }
  }
  return [...lines, line].join('\n');
}
