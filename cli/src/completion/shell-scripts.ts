// What a shell runs at the tab key. The scripts hold all words, so that nothing is started to complete one.

export interface CompletedVerb {
  readonly name: string;
  readonly summary: string;
  /** With their dashes. */
  readonly options: readonly string[];
}

type Script = (verbs: readonly CompletedVerb[]) => string;

/** By the name that people type. */
export const shells: Readonly<Record<string, Script>> = { bash, zsh, fish };

function bash(verbs: readonly CompletedVerb[]): string {
  return `# edgekeep completion bash
_edgekeep() {
  local IFS=' ' choices='' current=\${COMP_WORDS[COMP_CWORD]}
  local before="\${COMP_WORDS[*]:1:COMP_CWORD-1}"
${choices(verbs)}
  COMPREPLY=()
  local each
  for each in $choices; do
    case $each in "$current"*) COMPREPLY+=("$each") ;; esac
  done
}
complete -o default -F _edgekeep edgekeep
`;
}

function zsh(verbs: readonly CompletedVerb[]): string {
  return `#compdef edgekeep
_edgekeep() {
  local choices='' current=$words[CURRENT]
  local before="\${(j: :)words[2,CURRENT-1]}"
${choices(verbs)}
  if [[ -n $choices ]]; then compadd -- \${=choices}; else _files; fi
}
compdef _edgekeep edgekeep
# As a file in $fpath, this is loaded at the first use, which completes too.
if [[ $funcstack[1] == _edgekeep ]]; then _edgekeep; fi
`;
}

// Both shells read this: sets \`choices\` from \`before\`, the words between the program and the current one.
function choices(verbs: readonly CompletedVerb[]): string {
  // The longest name comes first: \`enroll token list\` is a verb, and \`enroll token\` too.
  const options = verbs
    .toSorted((a, b) => b.name.length - a.name.length)
    .map((verb) => `    '${verb.name} '*) choices='${verb.options.join(' ')}' ;;`);
  const words = Array.from(wordsAfter(verbs), ([before, next]) => `    '${before}') choices='${next.join(' ')}' ;;`);
  return `  case $current in
  -*) case "$before " in
${options.join('\n')}
    esac ;;
  *) case $before in
${words.join('\n')}
    esac ;;
  esac`;
}

/** The words that may follow the beginning of a verb. */
function wordsAfter(verbs: readonly CompletedVerb[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { name } of verbs) {
    const words = name.split(' ');
    for (const [at, word] of words.entries()) {
      const before = words.slice(0, at).join(' ');
      const known = found.get(before) ?? [];
      if (!known.includes(word)) known.push(word);
      found.set(before, known);
    }
  }
  return found;
}

function fish(verbs: readonly CompletedVerb[]): string {
  const summaries = new Map(verbs.map(({ name, summary }) => [name, summary]));
  const words = Array.from(wordsAfter(verbs), ([before, next]) =>
    next.map((word) => {
      const summary = summaries.get(`${before} ${word}`.trim());
      const description = summary === undefined ? '' : ` -d ${quoted(summary)}`;
      return `complete -c edgekeep -n '__edgekeep_at "${before}"' -f -a ${word}${description}`;
    }),
  ).flat();
  const options = verbs.flatMap(({ name, options: own }) => {
    // \`enroll token list\` has other options than \`enroll token\`.
    const longer = verbs.filter((other) => other.name.startsWith(`${name} `));
    const at = [name, ...longer.map((other) => other.name)].map((each) => `__edgekeep_verb "${each}"`);
    return own.map((option) => `complete -c edgekeep -n '${at.join('; and not ')}' -l ${option.slice(2)}`);
  });
  return `# edgekeep completion fish
function __edgekeep_at
  set -l words (commandline -opc)
  set -e words[1]
  test "$words" = "$argv"
end
function __edgekeep_verb
  set -l words (commandline -opc)
  set -e words[1]
  string match -q -- "$argv *" "$words "
end
${[...words, ...options].join('\n')}
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
}
