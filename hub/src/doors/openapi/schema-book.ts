// The schemas of a document: those with a name are components, everything else is in its place. A schema that is sent in another form than
// it is read (defaults, conversions) has a second component for requests.
import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import { namedSchemas } from './named-schemas.ts';

export type JsonSchema = z.core.JSONSchema.JSONSchema;

type Direction = 'input' | 'output';

const refPrefix = '#/components/schemas/';
/** Of zod: parts that one schema refers to. */
const partPrefix = '#/$defs/';

/** Closed lists that only the hub knows, by the name of their schema. */
export type WordLists = Readonly<Record<string, readonly string[]>>;

export class SchemaBook {
  readonly #lists: WordLists;
  readonly #inlines = new Map<z.ZodType, string>();
  /** The components that were referred to so far, by their names in the document. */
  readonly #needed = new Map<string, { readonly id: string; readonly direction: Direction }>();
  #made: { readonly input: Converted; readonly output: Converted; readonly differing: ReadonlySet<string> } | undefined;

  constructor(lists: WordLists) {
    this.#lists = lists;
  }

  /** Notes a schema before `convert`. */
  note(schema: z.ZodType): void {
    if (!namedSchemas.has(schema) && !this.#inlines.has(schema))
      this.#inlines.set(schema, `inline ${this.#inlines.size}`);
  }

  /** Converts all schemas, before anything is asked about any of them. Requests are served between any two. */
  async convert(): Promise<void> {
    const all = new Map([...namedSchemas, ...this.#inlines]);
    const names = new Names();
    for (const [schema, id] of all) names.add(schema, { id });
    const [input, output] = [new Map<string, JsonSchema>(), new Map<string, JsonSchema>()];
    for (const [schema, id] of all) {
      input.set(id, converted(schema, id, 'input', names));
      output.set(id, converted(schema, id, 'output', names));
      await setImmediate();
    }
    const differing = new Set<string>();
    for (const id of input.keys()) {
      const needed = [...reached(input, new Set([id])), ...reached(output, new Set([id]))];
      if (needed.some((each) => JSON.stringify(input.get(each)) !== JSON.stringify(output.get(each))))
        differing.add(id);
      await setImmediate();
    }
    this.#made = { input, output, differing };
  }

  /** The schema by its name, or in its place where it has none. */
  reference(schema: z.ZodType, direction: Direction): JsonSchema {
    const name = namedSchemas.get(schema);
    return name === undefined ? this.#content(this.#idOf(schema), direction) : { $ref: this.#target(name, direction) };
  }

  /** The schema of a request in its place: of parameters. */
  inline(schema: z.ZodType): JsonSchema {
    return this.#content(this.#idOf(schema), 'input');
  }

  /** Every component that was referred to, and those that these refer to. */
  components(): Record<string, JsonSchema> {
    const components: Record<string, JsonSchema> = {};
    // A map visits what is added meanwhile.
    for (const [name, { id, direction }] of this.#needed) {
      const content = this.#content(id, direction);
      components[name] = direction === 'input' ? withDefaultsInWords(content) : content;
    }
    return components;
  }

  #idOf(schema: z.ZodType): string {
    const id = namedSchemas.get(schema) ?? this.#inlines.get(schema);
    if (id === undefined) throw new TypeError('a schema that was not noted');
    return id;
  }

  #target(name: string, direction: Direction): string {
    const differs = direction === 'input' && this.#conversion().differing.has(name);
    const component = differs ? `${name}Input` : name;
    this.#needed.set(component, { id: name, direction });
    return `${refPrefix}${component}`;
  }

  #content(id: string, direction: Direction): JsonSchema {
    const found = this.#conversion()[direction].get(id);
    if (found === undefined) throw new TypeError(`no schema ${id}`);
    const list = this.#lists[id];
    const content = list === undefined ? found : { ...found, enum: [...list] };
    return retargeted(content, (name) => this.#target(name, direction));
  }

  #conversion() {
    if (this.#made === undefined) throw new TypeError('schemas that were not converted');
    return this.#made;
  }
}

type Converted = ReadonlyMap<string, JsonSchema>;

/** The names of schemas, besides what schemas say of themselves. */
class Names extends z.core.$ZodRegistry<{ readonly id?: string | undefined }> {
  override get(schema: z.core.$ZodType) {
    const known = { ...z.globalRegistry.get(schema), ...super.get(schema) };
    return Object.keys(known).length === 0 ? undefined : known;
  }
}

/** One schema, with references to the named ones inside it. */
function converted(schema: z.ZodType, id: string, io: Direction, metadata: Names): JsonSchema {
  const { $defs: parts = {} } = z.toJSONSchema(schema, {
    io,
    metadata,
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      // A client must not depend on the absence of members that a later hub may add.
      if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
  const own = parts[id];
  if (own === undefined) throw new TypeError(`the schema ${id} was not converted`);
  const { id: _name, ...content } = own;
  return content;
}

// A client generator takes a member with a default for one that is always there, as it is in an answer; in a request it may be left out.
function withDefaultsInWords(schema: JsonSchema): JsonSchema {
  const text = JSON.stringify(schema, (key, value: unknown) => {
    if (key === 'properties' || typeof value !== 'object' || value === null || !('default' in value)) return value;
    const { default: left, ...others } = value;
    return { ...others, description: `Left out: ${JSON.stringify(left)}.` };
  });
  return z.custom<JsonSchema>().parse(JSON.parse(text));
}

/** All that these schemas refer to, and themselves. */
function reached(schemas: Converted, from: ReadonlySet<string>): ReadonlySet<string> {
  const found = new Set(from);
  // A set visits what is added meanwhile.
  for (const id of found) for (const each of namesIn(schemas.get(id))) found.add(each);
  return found;
}

function namesIn(value: unknown): string[] {
  const names: string[] = [];
  retargeted({ value }, (name) => {
    names.push(name);
    return name;
  });
  return names;
}

function retargeted(schema: JsonSchema, target: (name: string) => string): JsonSchema {
  const text = JSON.stringify(schema, (key, value: unknown) =>
    key === '$ref' && typeof value === 'string' ? target(nameOfReference(value)) : value,
  );
  return z.custom<JsonSchema>().parse(JSON.parse(text));
}

function nameOfReference(reference: string): string {
  return reference.slice((reference.startsWith(partPrefix) ? partPrefix : refPrefix).length);
}
