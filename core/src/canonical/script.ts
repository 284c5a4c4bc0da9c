// Labels of one script, as UTS 39 section 5.2 describes "highly restrictive": the Cyrillic letters in `pаypal` make another name that looks the same.

// The scripts in everyday use (UAX 31, table 5); letters of several scripts, as the ideographs, count for each of theirs.
const scripts = [
  'Arabic',
  'Armenian',
  'Bengali',
  'Bopomofo',
  'Cyrillic',
  'Devanagari',
  'Ethiopic',
  'Georgian',
  'Greek',
  'Gujarati',
  'Gurmukhi',
  'Hangul',
  'Han',
  'Hebrew',
  'Hiragana',
  'Kannada',
  'Katakana',
  'Khmer',
  'Lao',
  'Latin',
  'Malayalam',
  'Myanmar',
  'Oriya',
  'Sinhala',
  'Tamil',
  'Telugu',
  'Thaana',
  'Thai',
  'Tibetan',
];

// Languages that are written in several scripts.
const together = [
  ['Latin', 'Han', 'Hiragana', 'Katakana'],
  ['Latin', 'Han', 'Bopomofo'],
  ['Latin', 'Han', 'Hangul'],
];

const common = ['Common', 'Inherited'];

const allowed = [...scripts.map((script) => [script]), ...together].map(
  (set) => new RegExp(`^[${[...set, ...common].map((script) => `\\p{scx=${script}}`).join('')}]*$`, 'u'),
);

/** Whether a label of this name, in Unicode, has letters of scripts that are not written together. */
export function mixesScripts(name: string): boolean {
  return name.split('.').some((label) => !allowed.some((set) => set.test(label)));
}
