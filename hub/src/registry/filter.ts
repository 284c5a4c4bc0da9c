// A filter over the registry (spec/registry.md, "Filter"): RSQL text to comparisons under "all of" and "any of". The meaning of a field or
// a value is decided later (condition.ts); this file knows the grammar, its limits, and the positions in the text.
import { FILTER_CHARACTERS_MAX } from '@edgekeep/wire/api/registry';
import { parse } from '@rsql/parser';
import { HubError } from '../common/error.ts';

// A query is one statement: this limits the number of tables that it joins.
export const COMPARISONS_MAX = 32;
export const LISTED_VALUES_MAX = 100;

const operators = {
  '==': 'equal',
  '!=': 'unequal',
  '=in=': 'in',
  '=out=': 'out',
  '<': 'below',
  '=lt=': 'below',
  '<=': 'at-most',
  '=le=': 'at-most',
  '>': 'above',
  '=gt=': 'above',
  '>=': 'at-least',
  '=ge=': 'at-least',
  '=ex=': 'exists',
} as const;

export type Operator = (typeof operators)[keyof typeof operators];

export interface Comparison {
  readonly kind: 'comparison';
  readonly selector: string;
  readonly operator: Operator;
  /** One value, several for `in` and `out`. */
  readonly values: readonly string[];
  /** Position of the selector, counted from 1. */
  readonly position: number;
}

export type Filter =
  | Comparison
  | { readonly kind: 'all'; readonly of: readonly Filter[] }
  | { readonly kind: 'any'; readonly of: readonly Filter[] };

/** Throws `request-invalid` with the position and the reason. */
export function parseFilter(text: string): Filter {
  if (text.length > FILTER_CHARACTERS_MAX) {
    throw new HubError('request-invalid', `filter: ${text.length} characters, at most ${FILTER_CHARACTERS_MAX}`);
  }
  const tree = parseRsql(text);
  const positions = selectorPositions(text);
  if (positions.length > COMPARISONS_MAX) {
    throw filterError(positions[COMPARISONS_MAX] ?? 1, `more than ${COMPARISONS_MAX} comparisons`);
  }
  return convert(tree, positions.values());
}

export function filterError(position: number, message: string): HubError {
  return new HubError('request-invalid', `filter, position ${position}: ${message}`);
}

type Node = ReturnType<typeof parse>;

function parseRsql(text: string): Node {
  try {
    return parse(text);
  } catch (cause) {
    // The parser puts the position in its message and repeats the text, which the caller has already.
    const message = cause instanceof Error ? cause.message : '';
    const [, found, position] =
      /^(Unexpected (?:string|character)|Unclosed quote) '[^]*?' at position (\d+) in /.exec(message) ?? [];
    if (found === undefined) throw filterError(text.length + 1, 'the filter ends too early');
    throw filterError(Number(position), hintAt(text, Number(position)) ?? `${found.toLowerCase()} here`);
  }
}

// What people of other dialects write, by name.
function hintAt(text: string, position: number): string | undefined {
  const rest = text.slice(position - 1);
  const before = text.slice(0, position - 1).trimEnd();
  const [symbol] = /^=(?:[A-Za-z]+=)?/.exec(rest) ?? [];
  if (symbol !== undefined && /[^"'();,=!~<>\s]$/.test(before)) return unknownOperator(symbol);
  const [word] = /^(?:and|or)(?=[\s();,]|$)/i.exec(rest) ?? [];
  if (word === undefined) return undefined;
  if (/[=<>]$/.test(before)) return `a value ${word} must be in quotes`;
  return 'and, or are written in lower case, each between two spaces; ; and , need none';
}

function unknownOperator(symbol: string): string {
  return `no operator ${symbol.slice(0, 20)}: there are ${Object.keys(operators).join(' ')}`;
}

// The parser's tree has no positions. In a text that parses, the selectors are exactly the words before a comparison operator.
function selectorPositions(text: string): readonly number[] {
  const words = /"(?:[^"\\]|\\[^])*"|'(?:[^'\\]|\\[^])*'|([^"'();,=!~<>\s]+)(?=\s*[=!<>])/g;
  return [...text.matchAll(words)].filter((match) => match[1] !== undefined).map((match) => match.index + 1);
}

// Left to right, so that positions are in the order of the text. The depth is at most the number of comparisons.
function convert(node: Node, positions: Iterator<number>): Filter {
  if (node.type === 'COMPARISON') {
    const position = positions.next().value ?? 1;
    return comparisonOf(node.left.selector, node.operator, node.right.value, position);
  }
  const kind = node.operator === ';' || node.operator === 'and' ? 'all' : 'any';
  const left = convert(node.left, positions);
  const right = convert(node.right, positions);
  return { kind, of: [...partsOf(left, kind), ...partsOf(right, kind)] };
}

function partsOf(filter: Filter, kind: 'all' | 'any'): readonly Filter[] {
  return filter.kind === kind ? filter.of : [filter];
}

function comparisonOf(
  selector: string,
  symbol: string,
  value: string | readonly string[],
  position: number,
): Comparison {
  const operator = Object.entries(operators).find(([name]) => name === symbol)?.[1];
  if (operator === undefined) throw filterError(position, unknownOperator(symbol));
  // The grammar has one form of arguments: a value, or values in brackets.
  const values = typeof value === 'string' ? [value] : value;
  if (values.length > 1 && operator !== 'in' && operator !== 'out')
    throw filterError(position, `${symbol} takes one value`);
  if (values.length > LISTED_VALUES_MAX) throw filterError(position, `more than ${LISTED_VALUES_MAX} values`);
  return { kind: 'comparison', selector, operator, values, position };
}
