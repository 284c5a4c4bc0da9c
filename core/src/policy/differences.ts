// What a draft changes: statements by their names.
import { policyToText } from '@cedar-policy/cedar-wasm/nodejs';
import type { Statement } from './statement.ts';

export interface PolicyDifferences {
  readonly added: readonly StatementText[];
  readonly removed: readonly StatementText[];
  readonly changed: readonly { readonly id: string; readonly before: string; readonly after: string }[];
  readonly same: number;
}

interface StatementText {
  readonly id: string;
  readonly text: string;
}

/** Compares the meaning of statements to Cedar: white space and comments are no difference, nor is the order of statements. */
export function differencesOf(before: readonly Statement[], after: readonly Statement[]): PolicyDifferences {
  const old = new Map(before.map((statement) => [statement.id, statement]));
  const names = new Set(after.map(({ id }) => id));
  const changed: { id: string; before: string; after: string }[] = [];
  const added: StatementText[] = [];
  for (const statement of after) {
    const was = old.get(statement.id);
    if (was === undefined) added.push(textOf(statement));
    else if (canonical(was) !== canonical(statement))
      changed.push({ id: statement.id, before: was.text, after: statement.text });
  }
  const removed = before.filter(({ id }) => !names.has(id)).map(textOf);
  return { added, removed, changed, same: after.length - added.length - changed.length };
}

function textOf({ id, text }: Statement): StatementText {
  return { id, text };
}

function canonical({ json, text }: Statement): string {
  const answer = policyToText(json);
  return answer.type === 'success' ? answer.text : text;
}
