// An inference request: bytes from a local application to typed tensors. Strict about shapes, datatypes, sizes and finiteness.
// Follows spec/inference.md sections 3 and 4 (Open Inference Protocol v2 and its binary tensor data extension).
import { z } from 'zod';
import { GuardError } from './error.ts';
import { ELEMENTS_MAX, RANK_MAX, TENSORS_MAX, TEXT_MAX } from './limits.ts';
import { parseTensorJson } from './tensor-json.ts';
import {
  allFinite,
  datatypes,
  isDatatype,
  view,
  type Datatype,
  type TensorData,
  type TensorInterface,
  type TensorValue,
} from './tensor.ts';

const text = z.string().min(1).max(TEXT_MAX);
const PARAMETERS_MAX = 32;
const parameters = z
  .record(text, z.union([z.string().max(TEXT_MAX), z.number(), z.boolean()]))
  .refine((value) => Object.keys(value).length <= PARAMETERS_MAX, `more than ${PARAMETERS_MAX} parameters`);

const requestSchema = z.strictObject({
  id: z.string().max(TEXT_MAX).optional(),
  parameters: parameters.optional(),
  inputs: z
    .array(
      z.strictObject({
        name: text,
        shape: z.array(z.int().min(1).max(ELEMENTS_MAX)).max(RANK_MAX),
        datatype: z.string().refine(isDatatype, 'not a datatype of the protocol'),
        parameters: parameters.optional(),
        data: z.unknown().optional(),
      }),
    )
    .min(1)
    .max(TENSORS_MAX),
  outputs: z
    .array(z.strictObject({ name: text, parameters: parameters.optional() }))
    .max(TENSORS_MAX)
    .optional(),
});

type RawInput = z.infer<typeof requestSchema>['inputs'][number];

export interface RequestedOutput {
  readonly name: string;
  readonly binary: boolean;
}

export interface InferenceRequest {
  readonly id: string | undefined;
  readonly inputs: readonly TensorValue[];
  readonly outputs: readonly RequestedOutput[];
}

/**
 * Parses a request body against the model's inputs and outputs.
 * `headerLength` is the `Inference-Header-Content-Length` header: where the JSON ends and binary tensors begin.
 * @throws GuardError `request-invalid`
 */
export function parseInferenceRequest(
  body: Uint8Array,
  headerLength: number | undefined,
  model: { readonly inputs: readonly TensorInterface[]; readonly outputs: readonly TensorInterface[] },
): InferenceRequest {
  const jsonLength = headerLength ?? body.length;
  if (jsonLength > body.length) {
    throw invalid(`Inference-Header-Content-Length is ${jsonLength}, the body has ${body.length} bytes`);
  }
  const raw = parseEnvelope(body.subarray(0, jsonLength));
  const binary = new BinaryTail(body.subarray(jsonLength));
  const inputs = raw.inputs.map((input) => parseInput(input, binary));
  binary.end();
  matchInputs(inputs, model.inputs);
  const binaryDefault = raw.parameters?.['binary_data_output'] === true;
  return { id: raw.id, inputs, outputs: requestedOutputs(raw.outputs, model.outputs, binaryDefault) };
}

function parseEnvelope(bytes: Uint8Array): z.infer<typeof requestSchema> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new GuardError('request-invalid', 'the body is not JSON in UTF-8', { cause });
  }
  const parsed = requestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw invalid(
    `${issue?.path.map(String).join('.') ?? 'the request'}: ${issue?.message ?? 'not an inference request'}`,
  );
}

function parseInput(input: RawInput, binary: BinaryTail): TensorValue {
  const { name, shape, datatype } = input;
  const length = elementCount(name, shape);
  const size = input.parameters?.['binary_data_size'];
  if (size !== undefined && input.data !== undefined) throw invalid(`${name}: both data and binary_data_size`);
  const data =
    size === undefined
      ? parseTensorJson(name, datatype, shape, length, input.data)
      : parseBinary(name, datatype, length, size, binary);
  const tensor = { name, datatype, shape, data };
  if (!allFinite(tensor)) throw invalid(`${name}: a value is not finite`);
  return tensor;
}

/** A tensor without dimensions is a scalar of one element. */
function elementCount(name: string, shape: readonly number[]): number {
  let length = 1;
  for (const size of shape) {
    length *= size;
    if (length > ELEMENTS_MAX) throw invalid(`${name}: more than ${ELEMENTS_MAX} elements`);
  }
  return length;
}

function parseBinary(name: string, datatype: Datatype, length: number, size: unknown, tail: BinaryTail): TensorData {
  if (datatype === 'BYTES') throw invalid(`${name}: BYTES is read as JSON only`);
  const expected = length * datatypes[datatype].bytes;
  if (size !== expected)
    throw invalid(`${name}: binary_data_size is ${String(size)}, its shape and datatype say ${expected}`);
  const values = view(datatype, tail.take(name, expected));
  if (datatype === 'BOOL' && values instanceof Uint8Array && values.some((value) => value > 1)) {
    throw invalid(`${name}: a BOOL that is neither 0 nor 1`);
  }
  return values;
}

/** The bytes after the JSON, consumed front to back. */
class BinaryTail {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** A copy: typed arrays need alignment that the body does not promise. */
  take(name: string, size: number): ArrayBuffer {
    if (size > this.#bytes.length - this.#offset) throw invalid(`${name}: the body ends before its binary data does`);
    const copy = new ArrayBuffer(size);
    new Uint8Array(copy).set(this.#bytes.subarray(this.#offset, this.#offset + size));
    this.#offset += size;
    return copy;
  }

  end(): void {
    const left = this.#bytes.length - this.#offset;
    if (left !== 0) throw invalid(`${left} bytes of binary data belong to no input`);
  }
}

function matchInputs(inputs: readonly TensorValue[], expected: readonly TensorInterface[]): void {
  for (const input of inputs) {
    if (!expected.some((candidate) => candidate.name === input.name))
      throw invalid(`the model has no input ${input.name}`);
  }
  for (const { name, datatype, shape } of expected) {
    const [input, ...more] = inputs.filter((candidate) => candidate.name === name);
    if (input === undefined || more.length > 0)
      throw invalid(`input ${name} is given ${more.length + (input ? 1 : 0)} times`);
    if (input.datatype !== datatype) throw invalid(`${name}: datatype ${input.datatype}, the model takes ${datatype}`);
    const fits =
      input.shape.length === shape.length && shape.every((size, index) => size === -1 || size === input.shape[index]);
    if (!fits) throw invalid(`${name}: shape [${input.shape.join(',')}], the model takes [${shape.join(',')}]`);
  }
}

function requestedOutputs(
  asked: z.infer<typeof requestSchema>['outputs'],
  available: readonly TensorInterface[],
  binaryDefault: boolean,
): readonly RequestedOutput[] {
  if (asked === undefined || asked.length === 0) return available.map(({ name }) => ({ name, binary: binaryDefault }));
  return asked.map(({ name, parameters: own }, index) => {
    if (!available.some((output) => output.name === name)) throw invalid(`the model has no output ${name}`);
    if (asked.findIndex((other) => other.name === name) !== index) throw invalid(`output ${name} is asked for twice`);
    const binary = own?.['binary_data'];
    return { name, binary: typeof binary === 'boolean' ? binary : binaryDefault };
  });
}

function invalid(message: string): GuardError {
  return new GuardError('request-invalid', message);
}
