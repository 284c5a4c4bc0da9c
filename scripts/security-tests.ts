// Writes docs/security-tests.md, the appendix of SECURITY.md: for each id of a threat the tests that show its mitigation. A test names the
// ids that it shows in a comment before its title, "// SECURITY.md: DEV-03, HUB-11". tests/security-tests.test.ts compares the page with
// the tests.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = dirname(import.meta.dirname);
const page = join(root, 'docs/security-tests.md');

export interface Threat {
  readonly id: string;
  readonly threat: string;
  readonly mitigation: string;
}

/** The claim in the comment of a test. */
export interface Claim {
  readonly ids: readonly string[];
  readonly title: string;
}

/** The threats of SECURITY.md, in their order. */
export function threatsIn(text: string): readonly Threat[] {
  return [...text.matchAll(/^\| ([A-Z]{3}-\d{2,3}) \| [STRIDE] \| (.+?) \| (.+) \|$/gm)].map(
    ([, id = '', threat = '', mitigation = '']) => ({ id, threat, mitigation }),
  );
}

/** The claims of a test file, in their order. The title is the first text after the comment; a value that a template fills in is `…`. */
export function claimsIn(text: string): readonly Claim[] {
  const pattern =
    /^[ \t]*\/\/ SECURITY\.md: ([A-Z0-9-]+(?:, [A-Z0-9-]+)*)\n[^'"`]*(?:'((?:[^'\\\n]|\\.)+)'|"([^"\n]+)"|`([^`]+)`)/gm;
  return [...text.matchAll(pattern)].map(([, ids = '', single, double, template]) => ({
    ids: ids.split(', '),
    title: (single ?? double ?? template ?? '').replaceAll("\\'", "'").replaceAll(/\$\{[^}]*\}/g, '…'),
  }));
}

/** Every claim of every test file of the repository, with its file. */
export function claims(): readonly (Claim & { readonly file: string })[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => !file.split('/').includes('node_modules'))
    .toSorted()
    .flatMap((file) => claimsIn(readFileSync(join(root, file), 'utf8')).map((claim) => ({ file, ...claim })));
}

/** The text of the appendix. */
export function appendix(threats: readonly Threat[], found: readonly (Claim & { readonly file: string })[]): string {
  const sections = threats.map(({ id, threat }) => {
    const lines = found.filter(({ ids }) => ids.includes(id)).map(({ file, title }) => `- \`${file}\`: ${title}`);
    // A test for each row of a table has one title.
    const shown = [...new Set(lines)];
    return `## ${id}\n\n${threat}\n\n${shown.length > 0 ? shown.join('\n') : 'No test.'}\n`;
  });
  return `# Tests behind SECURITY.md

\`node scripts/security-tests.ts\` writes this page from the comments in the tests. For each threat of [SECURITY.md](../SECURITY.md), by its id: the tests that show its mitigation.

${sections.join('\n')}`;
}

if (import.meta.main) {
  writeFileSync(page, appendix(threatsIn(readFileSync(join(root, 'SECURITY.md'), 'utf8')), claims()));
  console.log(`wrote ${relative(root, page)}`);
}
