// CSV (RFC 4180): a header and records with the same number of fields, each plain or in double quotes. Strict, because a shifted column
// would give a device the name of another.
import { CoreError } from '@edgekeep/core/error';

export interface CsvRecord {
  /** The line where it begins, from 1. */
  readonly line: number;
  /** By the name of the column; empty fields are left out. */
  readonly fields: ReadonlyMap<string, string>;
}

/** Throws `encoding-invalid` with the line number. Skips empty lines and a byte order mark at the start. */
export function parseCsv(text: string): {
  readonly columns: readonly string[];
  readonly records: readonly CsvRecord[];
} {
  const rows = [...rowsOf(text.replace(/^\uFEFF/, ''))];
  const [header, ...rest] = rows;
  if (header === undefined) throw broken(1, 'no header');
  const columns = header.fields.map((name) => name.trim());
  if (new Set(columns).size !== columns.length) throw broken(header.line, 'a column occurs twice');
  const records = rest.map(({ line, fields }) => {
    if (fields.length !== columns.length) throw broken(line, `${fields.length} fields, expected ${columns.length}`);
    const named = fields.flatMap((field, at): [string, string][] => (field === '' ? [] : [[columns[at] ?? '', field]]));
    return { line, fields: new Map(named) };
  });
  return { columns, records };
}

interface Row {
  readonly line: number;
  readonly fields: readonly string[];
}

// One field with its end: a comma, a line end, or the end of the text.
const fieldPattern = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;

function* rowsOf(text: string): Generator<Row> {
  let line = 1;
  let begun = 1;
  let fields: string[] = [];
  fieldPattern.lastIndex = 0;
  while (fieldPattern.lastIndex < text.length || fields.length > 0) {
    const match = fieldPattern.exec(text);
    if (match === null) throw broken(line, 'a quote inside a field, or a missing closing quote');
    const [whole, quoted, plain = '', end] = match;
    fields.push(quoted === undefined ? plain.trim() : quoted.replaceAll('""', '"'));
    line += whole.split('\n').length - 1;
    if (end === ',') continue;
    const empty = fields.length === 1 && fields[0] === '';
    if (!empty) yield { line: begun, fields };
    fields = [];
    begun = line;
    if (end === '') return;
  }
}

function broken(line: number, problem: string): CoreError {
  return new CoreError('encoding-invalid', `line ${line}: ${problem}`);
}
