// Words of the previous version (docs/upgrading.md): they work for one more version, with a warning on standard error.
import { type FormerName, formerNameText } from '@edgekeep/core/former-names';
import type { Command } from './command.ts';

const formerVerbs: Readonly<Record<string, string>> = {
  'device wiped': 'device mark-wiped',
  'device desire': 'device set-desired',
  'authority missing': 'authority pending',
};
const formerSubjects: Readonly<Record<string, string>> = { 'enrolment-group': 'enrollment-group' };
const formerOptions: Readonly<Record<string, string>> = { 'enrolment-group': 'enrollment-group' };
/** From a hub's answer: `former=present`, separated by commas. */
const answerHeader = 'edgekeep-former-names';

const warned = new Set<string>();

/** Once for each name: a list is requested page by page. */
function warnOfFormerWord(name: FormerName): void {
  if (warned.has(name.former)) return;
  warned.add(name.former);
  process.stderr.write(`edgekeep: warning: ${formerNameText(name)}\n`);
}

/** The words of a command line, with the present name of the verb. */
export function withPresentVerb(words: readonly string[], warn = warnOfFormerWord): readonly string[] {
  const [subject = '', verb = '', ...rest] = words;
  const presentSubject = ownValue(formerSubjects, subject);
  if (presentSubject !== undefined) {
    warn({ former: subject, present: presentSubject });
    return [presentSubject, ...words.slice(1)];
  }
  const present = ownValue(formerVerbs, `${subject} ${verb}`);
  if (present === undefined) return words;
  warn({ former: `${subject} ${verb}`, present });
  return [...present.split(' '), ...rest];
}

/** The words after a verb, with the present names of its options; `words` ends before `--`. */
export function withPresentOptions(
  { options }: Pick<Command, 'options'>,
  words: readonly string[],
  warn = warnOfFormerWord,
): readonly string[] {
  return words.map((word) => {
    const [, former = '', value = ''] = /^--([a-z0-9-]+)(=.*)?$/s.exec(word) ?? [];
    const present = ownValue(formerOptions, former);
    if (present === undefined || !Object.hasOwn(options, present)) return word;
    warn({ former: `--${former}`, present: `--${present}` });
    return `--${present}${value}`;
  });
}

/** Warns of former names in a request, which the headers of the hub's answer name. */
export function warnOfFormerNamesSent(headers: Readonly<Record<string, unknown>>, warn = warnOfFormerWord): void {
  const text = headers[answerHeader];
  if (typeof text !== 'string') return;
  for (const [, former = '', present = ''] of text.matchAll(/([^=, ]+)=([^=, ]+)/g)) warn({ former, present });
}

function ownValue(names: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(names, name) ? names[name] : undefined;
}
