// The shell blocks of a page: the language `sh` has commands alone, `console` has `$ ` prompts and what is printed. Comments of the page that a reader does not see belong to the walk:
//   <!-- walk: COMMANDS -->         run before the next block: what the reader has or has done elsewhere
//   <!-- put NAME: COMMAND -->      from the next block on the reader types in place of NAME what the command prints at that moment
//   <!-- not run: REASON -->        the next block is not run
//   <!-- page not run: REASON -->   no block of this page is run
export interface Block {
  /** Line of the block's fence in the page, from 1. */
  readonly line: number;
  readonly language: string;
  readonly text: string;
  /** Commands of the comments before it. */
  readonly before: readonly string[];
  /** Names in capitals, and the commands that print what is typed in their place. */
  readonly put: ReadonlyMap<string, string>;
  readonly notRun: string | undefined;
}

const fence = /^(?<indent> *)```(?<language>[a-z]*)\n(?<text>.*?)^\k<indent>```$/gmsu;
const comment = /<!-- (?<kind>walk|not run|put (?<name>[A-Z][A-Z0-9-]*)): (?<words>.*?) -->/gsu;
const wholePage = /<!-- page not run: (?<reason>.*?) -->/su;

/** Every fenced block of a page, in its order. */
export function blocksOf(page: string): readonly Block[] {
  const reasonOfPage = wholePage.exec(page)?.groups?.['reason'];
  let end = 0;
  return [...page.matchAll(fence)].map(({ index, groups = {}, 0: whole }) => {
    const comments = [...page.slice(end, index).matchAll(comment)].map(({ groups: named = {} }) => named);
    end = index + whole.length;
    return {
      line: page.slice(0, index).split('\n').length,
      language: groups['language'] ?? '',
      text: groups['text'] ?? '',
      before: comments.filter(({ kind }) => kind === 'walk').map(({ words = '' }) => words),
      put: new Map(comments.flatMap(({ name, words = '' }) => (name === undefined ? [] : [[name, words] as const]))),
      notRun: comments.find(({ kind }) => kind === 'not run')?.['words'] ?? reasonOfPage,
    };
  });
}

const programs =
  'apt|apt-get|chmod|chown|cp|curl|dpkg|edgekeep|git|jq|kubectl|mkdir|mv|node|npm|npx|openssl|podman|python3|setpriv|sh|sudo|systemctl|tar|useradd|usermod';
const commandLine = new RegExp(`^(?:\\$ |(?:/usr/bin/)?(?:${programs}) )`, 'mu');

/** What the fence of a block says that a reader types. */
export const isTyped = (language: string): boolean => language === 'sh' || language === 'console';

/** A block that a reader types, also where its fence does not say so. */
export const isShell = ({ language, text }: Block): boolean =>
  isTyped(language) || (['', 'text'].includes(language) && commandLine.test(text));

/**
 * The commands of a block. In a transcript only the lines with `$ ` are, with their continuations. A comment with a name, `# Ben`, says who
 * types this line and those after it.
 */
export function commandsOf({ language, text }: Block): string {
  const lines = text.split('\n');
  if (language === 'sh') return lines.map(byPerson).join('\n');
  let continues = false;
  return lines
    .filter((line) => {
      const isCommand = continues || line.startsWith('$ ');
      continues = isCommand && line.endsWith('\\');
      return isCommand;
    })
    .map((line) => byPerson(line.replace(/^\$ /u, '')))
    .join('\n');
}

function byPerson(line: string): string {
  const name = /# (Ada|Ben)\b/u.exec(line)?.[1];
  return name === undefined ? line : `is_at_the_keyboard ${name.toLowerCase()}\n${line}`;
}
