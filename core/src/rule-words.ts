// What a rule of a schema asks, in words: where a rule has none of its own, the schema library shows its regular expression.

const hexDigits = /^\^\[0-9a-f\]\{(\d+)\}\$$/;

const wordsOf: ReadonlyMap<string, string> = new Map([
  ['^[A-Za-z0-9_-]*$', 'expected base64url without padding'],
  ['^[A-Za-z0-9_-]+$', 'expected base64url without padding'],
  ['^[^\\s+]+$', 'expected a name without spaces and without a plus sign'],
]);

/** The message for people. */
export function ruleWords(message: string): string {
  const [, pattern] = /^Invalid string: must match pattern \/(.*)\/[a-z]*$/s.exec(message) ?? [];
  if (pattern === undefined) return message;
  const [, digits] = hexDigits.exec(pattern) ?? [];
  if (digits !== undefined) return `expected ${digits} hex digits in lower case`;
  return wordsOf.get(pattern) ?? 'expected a text of another form: its page in spec/ has the rule';
}
