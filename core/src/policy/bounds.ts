// The limits of a policy text before Cedar reads it. Cedar's parser and validator recurse on a small stack of their own: measured on 4.13,
// 200 nested brackets or 400 joined conditions break the module permanently, for every later decision of the process. So texts are limited
// here.

/** Cedar parses and validates in time that grows with the text; a policy larger than this is a mistake. */
const POLICY_BYTES_MAX = 256 * 1024;
const STATEMENTS_MAX = 2_000;
const NESTING_MAX = 24;
const JOINS_MAX = 64;
const STEPS_MAX = 192;

export interface BoundsProblem {
  readonly code: 'policy-syntax' | 'policy-too-long' | 'policy-too-complex';
  readonly message: string;
}

/** What is wrong with the size and form of the text; undefined when Cedar may read it. */
export function boundsProblem(text: string): BoundsProblem | undefined {
  if (!text.isWellFormed())
    return { code: 'policy-syntax', message: 'the policy is not Unicode text: it has a lone surrogate' };
  if (new TextEncoder().encode(text).length > POLICY_BYTES_MAX)
    return { code: 'policy-too-long', message: `the policy is longer than ${POLICY_BYTES_MAX} bytes` };
  let depth = 0;
  let joins = 0;
  let steps = 0;
  let statements = 0;
  for (const [token] of text.matchAll(tokens)) {
    if ('([{'.includes(token)) depth += 1;
    else if (')]}'.includes(token)) depth -= 1;
    else if (token === ';') {
      [joins, steps, depth] = [0, 0, 0];
      statements += 1;
    } else if (token === '.' || token === 'has' || token === 'is' || token === 'in') steps += 1;
    else if (joining.has(token)) joins += 1;
    const problem =
      depth > NESTING_MAX
        ? `brackets nest deeper than ${NESTING_MAX}`
        : joins > JOINS_MAX
          ? `it joins more than ${JOINS_MAX} conditions: split the statement`
          : steps > STEPS_MAX
            ? `it has more than ${STEPS_MAX} dots, "has", "is" and "in": split the statement`
            : statements > STATEMENTS_MAX
              ? `there are more than ${STATEMENTS_MAX} statements`
              : undefined;
    if (problem !== undefined) {
      return {
        code: 'policy-too-complex',
        message: `statement ${Math.min(statements, STATEMENTS_MAX) + 1}: ${problem}`,
      };
    }
  }
  return undefined;
}

const joining = new Set(['&&', '||', '+', '-', '*', '!', 'if']);
// Comments and texts first, so that nothing inside them counts; an unterminated text reaches to the end.
const tokens = /\/\/[^\n]*|"(?:[^"\\]|\\[^])*(?:"|$)|&&|\|\||[A-Za-z_][A-Za-z0-9_]*|[()[\]{};.+*!-]/g;
