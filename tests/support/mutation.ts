// Mutations of requests to a hub: changed, missing and unknown members, changed bytes inside base64url, and broken JSON text.
import * as fc from 'fast-check';
import { anyCharacter } from '@edgekeep/core/testing-text';

type Path = readonly (string | number)[];

/** Bodies that differ from the document, as bytes. */
export function mutatedBody(document: unknown): fc.Arbitrary<Uint8Array> {
  const text = Buffer.from(JSON.stringify(document));
  const paths = pathsOf(document);
  const texts = paths.filter((path) => typeof at(document, path) === 'string');
  const anywhere = fc.constantFrom(...paths);
  const json = (value: unknown) => Buffer.from(JSON.stringify(value) ?? '');
  return fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .tuple(fc.constantFrom(...(texts.length > 0 ? texts : paths)), byteChange)
        .map(([path, change]) => json(replaced(document, path, inside(at(document, path), change)))),
    },
    {
      weight: 3,
      arbitrary: fc.tuple(anywhere, oddValue).map(([path, value]) => json(replaced(document, path, value))),
    },
    { weight: 1, arbitrary: anywhere.map((path) => json(replaced(document, path, undefined))) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(anywhere, fc.string())
        .map(([path, name]) => json(replaced(document, [...path.slice(0, -1), `x${name}`], 1))),
    },
    { weight: 2, arbitrary: byteChange.map((change) => changedBytes(text, change)) },
    {
      weight: 1,
      arbitrary: fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.json().map((each) => Buffer.from(each)),
      ),
    },
  );
}

/** The mutations of bytes: one is changed, the end is cut, some are inserted, a part is repeated. */
export type ByteChange =
  | { readonly kind: 'flip'; readonly place: number; readonly mask: number }
  | { readonly kind: 'cut'; readonly place: number }
  | { readonly kind: 'insert'; readonly place: number; readonly bytes: Uint8Array }
  | { readonly kind: 'repeat'; readonly place: number; readonly length: number };

const place = fc.double({ min: 0, max: 1, noNaN: true });
export const byteChange: fc.Arbitrary<ByteChange> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('flip' as const), place, mask: fc.integer({ min: 1, max: 255 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), place }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('insert' as const),
      place,
      bytes: fc.uint8Array({ minLength: 1, maxLength: 20 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('repeat' as const), place, length: fc.integer({ min: 1, max: 200 }) }),
  },
);

export function changedBytes(bytes: Uint8Array, change: ByteChange): Uint8Array {
  const index = Math.min(Math.floor(change.place * bytes.length), Math.max(0, bytes.length - 1));
  const [head, tail] = [bytes.subarray(0, index), bytes.subarray(index)];
  switch (change.kind) {
    case 'flip':
      return Uint8Array.from(bytes, (byte, position) => (position === index ? byte ^ change.mask : byte));
    case 'cut':
      return head;
    case 'insert':
      return Buffer.concat([head, change.bytes, tail]);
    case 'repeat':
      return Buffer.concat([head, tail.subarray(0, change.length), tail]);
  }
}

const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    -1,
    0.5,
    1e308,
    2 ** 53,
    '',
    ' ',
    '\u0000',
    '\ud800',
    '..',
    '/',
    'A'.repeat(70_000),
    [],
    {},
    [[]],
  ),
  fc.constantFrom<unknown>(
    'constructor',
    { toString: 1 },
    { constructor: { prototype: 1 } },
    'x'.repeat(300),
    '-----BEGIN',
  ),
  fc.jsonValue({ maxDepth: 4 }),
  fc.string({ maxLength: 100, unit: anyCharacter }),
  fc.array(fc.constant(0), { minLength: 1_000, maxLength: 2_000 }),
);

/** Base64url is decoded first, so that the change reaches the structures inside; other text is changed directly. */
function inside(value: unknown, change: ByteChange): unknown {
  if (typeof value !== 'string') return value;
  if (/^[A-Za-z0-9_-]{20,}$/.test(value)) {
    return Buffer.from(changedBytes(Buffer.from(value, 'base64url'), change)).toString('base64url');
  }
  return Buffer.from(changedBytes(Buffer.from(value, 'utf8'), change)).toString('utf8');
}

function pathsOf(value: unknown, prefix: Path = []): readonly Path[] {
  if (value === null || typeof value !== 'object') return [prefix];
  const below = Object.entries(value).flatMap(([name, member]: [string, unknown]) =>
    pathsOf(member, [...prefix, Array.isArray(value) ? Number(name) : name]),
  );
  return [prefix, ...below];
}

function at(value: unknown, [first, ...rest]: Path): unknown {
  if (first === undefined) return value;
  if (value === null || typeof value !== 'object') return undefined;
  const member: unknown = Reflect.get(value, first);
  return at(member, rest);
}

/** A copy with another value at the path; `undefined` removes the member. */
function replaced(value: unknown, [first, ...rest]: Path, by: unknown): unknown {
  if (first === undefined) return by;
  if (Array.isArray(value))
    return value.map((each: unknown, index) => (index === first ? replaced(each, rest, by) : each));
  if (value === null || typeof value !== 'object') return { [first]: by };
  return { ...value, [first]: replaced(Reflect.get(value, first), rest, by) };
}
