// What a rule of a schema asks, in words: where a rule has none of its own, the schema library shows its regular expression, or only says that
// none of several forms fits.

// Members of an outsider's value are named: a message that is as long as the value would fill the log, and 100 of them an answer.
const MESSAGE_CHARACTERS_MAX = 300;
const PLACE_CHARACTERS_MAX = 64;

const hexDigits = /^\^\[0-9a-f\]\{(\d+)\}\$$/;

const wordsOf: ReadonlyMap<string, string> = new Map([
  ['^[A-Za-z0-9_-]*$', 'expected base64url without padding'],
  ['^[A-Za-z0-9_-]+$', 'expected base64url without padding'],
  ['^[^\\s+]+$', 'expected a name without spaces and without a plus sign'],
  ['^[A-Za-z][A-Za-z0-9_-]{0,62}$', 'expected a letter and at most 62 letters, digits, hyphens and underscores'],
  [
    '^[a-z0-9][a-z0-9-]{0,62}$',
    'expected 1 to 63 small letters, digits and hyphens, with a letter or a digit at the beginning',
  ],
]);

/** The message for people, and not a long one. */
export function ruleWords(message: string): string {
  return cut(words(message), MESSAGE_CHARACTERS_MAX);
}

/** Where in a value; each step is cut. */
export function placeText(path: readonly PropertyKey[], separator = '.'): string {
  return path.map((step) => cut(String(step), PLACE_CHARACTERS_MAX)).join(separator);
}

function cut(text: string, maxCharacters: number): string {
  return text.length <= maxCharacters ? text : `${text.slice(0, maxCharacters).toWellFormed()}…`;
}

function words(message: string): string {
  const [, pattern] = /^Invalid string: must match pattern \/(.*)\/[a-z]*$/s.exec(message) ?? [];
  if (pattern === undefined) return withoutInvalid(message);
  const [, digits] = hexDigits.exec(pattern) ?? [];
  if (digits !== undefined) return `expected ${digits} hex digits in lower case`;
  return wordsOf.get(pattern) ?? 'expected a text of another form: its page in spec/ has the rule';
}

// The library's words for a type, a choice and a member: "Invalid input: expected string, received number".
function withoutInvalid(message: string): string {
  const [, expected, found] = /^Invalid input: expected (.*), received (\w+)$/s.exec(message) ?? [];
  if (expected !== undefined)
    return found === 'undefined' ? `it is missing (expected ${expected})` : `expected ${expected}, found ${found}`;
  const [, choice] = /^Invalid (?:input|option): (expected .*)$/s.exec(message) ?? [];
  if (choice !== undefined) return choice;
  const size = sizeWords(message);
  if (size !== undefined) return size;
  const [, unknown] = /^Unrecognized keys?: (.*)$/s.exec(message) ?? [];
  return unknown === undefined ? message : `it has a member that is not known: ${unknown}`;
}

const comparisons: ReadonlyMap<string, string> = new Map([
  ['>=', 'at least'],
  ['<=', 'at most'],
  ['>', 'more than'],
  ['<', 'less than'],
]);

// "Too small: expected string to have >=1 characters", "Too big: expected number to be <=5".
function sizeWords(message: string): string | undefined {
  const [, kind = '', sign = '', limit = '', units] =
    /^Too (?:small|big): expected (\w+) to (?:have|be) ([<>]=?)(\S+)(?: (\w+))?$/.exec(message) ?? [];
  const comparison = comparisons.get(sign);
  if (comparison === undefined) return undefined;
  if (units === undefined) return `expected a ${kind} of ${comparison} ${limit}`;
  return `expected ${comparison} ${limit} ${limit === '1' ? units.replace(/s$/, '') : units}`;
}

interface Issue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** Of a union: the issues of each of its forms. */
  readonly errors?: readonly (readonly Issue[])[] | undefined;
  /** Of a key of a record. */
  readonly issues?: readonly Issue[] | undefined;
}

/** Every rule that a value broke, with its field: for settings, which a person corrects all at once. */
export function brokenRulesText(issues: readonly Issue[]): string {
  return issues
    .map((issue) => {
      const { path, message } = brokenRule([issue]);
      const rule = ruleWords(message);
      return path.length === 0 ? rule : `${placeText(path)}: ${rule}`;
    })
    .join('; ');
}

/** The first rule that a value broke. Where it has one of several forms, that of the form which it comes nearest to. */
export function brokenRule(issues: readonly Issue[]): {
  readonly path: readonly PropertyKey[];
  readonly message: string;
} {
  const [first] = issues;
  if (first === undefined) return { path: [], message: 'it does not match its schema' };
  const forms =
    first.code === 'invalid_union' ? (first.errors ?? []) : first.code === 'invalid_key' ? [first.issues ?? []] : [];
  const [nearest] = forms.filter(({ length }) => length > 0).toSorted((a, b) => distance(a) - distance(b));
  if (nearest === undefined) return first;
  const inside = brokenRule(nearest);
  return { path: [...first.path, ...inside.path], message: inside.message };
}

/** Members that are missing or unknown say that another form is meant. */
function distance(issues: readonly Issue[]): number {
  return issues.reduce((sum, { code, message }) => {
    const isOtherForm =
      code === 'unrecognized_keys' || (code === 'invalid_type' && message.endsWith('received undefined'));
    return sum + (isOtherForm ? 10 : 1);
  }, 0);
}
