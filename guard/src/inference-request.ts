// An inference request: bytes from a local application to typed tensors. Strict about shapes, datatypes, sizes and finiteness; fields that
// the protocol does not name are ignored, because its own examples have some. Follows spec/inference.md sections 3 and 4 (Open Inference
// Protocol v2 and its binary tensor data extension).
import { brokenRule, placeText, ruleWords } from '@edgekeep/core/rule-words';
import { z } from 'zod';
import { GuardError } from './error.ts';
import { assertJsonShape } from './json-shape.ts';
import { ELEMENTS_MAX, PARAMETERS_MAX, RANK_MAX, TENSORS_MAX, TEXT_MAX } from './limits.ts';
import { parseTensorBytes } from './tensors/tensor-bytes.ts';
import { parseTensorJson } from './tensors/tensor-json.ts';
import { allFinite, isDatatype, type TensorInterface, type TensorValue } from './tensors/tensor.ts';

const text = z.string().min(1).max(TEXT_MAX);
/** Clients of several languages write `null` for an optional field that they leave out. */
const parameters = z
  .record(text, z.union([z.string().max(TEXT_MAX), z.number(), z.boolean(), z.null()]))
  .refine((value) => Object.keys(value).length <= PARAMETERS_MAX, `more than ${PARAMETERS_MAX} parameters`)
  .nullish();

const requestSchema = z.object({
  id: z.string().max(TEXT_MAX).nullish(),
  parameters,
  inputs: z
    .array(
      z.object({
        name: text,
        shape: z.array(z.int()).max(RANK_MAX),
        datatype: z.string().refine(isDatatype, 'not a datatype that is served (spec/inference.md section 3)'),
        parameters,
        data: z.unknown().optional(),
      }),
    )
    .max(TENSORS_MAX),
  outputs: z
    .array(z.object({ name: text, parameters }))
    .max(TENSORS_MAX)
    .nullish(),
});

type RawInput = z.infer<typeof requestSchema>['inputs'][number];
type RequestParameters = z.infer<typeof parameters>;

export interface RequestedOutput {
  readonly name: string;
  readonly binary: boolean;
}

export interface InferenceRequest {
  readonly id: string | undefined;
  readonly inputs: readonly TensorValue[];
  readonly outputs: readonly RequestedOutput[];
}

/** Inputs and outputs of the model that a request asks. */
export interface ModelInterface {
  readonly inputs: readonly TensorInterface[];
  readonly outputs: readonly TensorInterface[];
}

/** Parameters that would change the answer, and are not offered: ignoring them would answer another question. */
const refusedParameters: Readonly<Record<string, string>> = {
  classification: 'the classification extension',
  shared_memory_region: 'shared memory',
};

/**
 * Parses a request body against the model's inputs and outputs.
 * `headerLength` is the `Inference-Header-Content-Length` header: where the JSON ends and binary tensors begin.
 * @throws GuardError `request-invalid`, `not-offered`
 */
export function parseInferenceRequest(
  body: Uint8Array,
  headerLength: number | undefined,
  model: ModelInterface,
): InferenceRequest {
  const jsonLength = headerLength ?? body.length;
  if (jsonLength > body.length) {
    throw invalid(`Inference-Header-Content-Length is ${jsonLength}, the body has ${body.length} bytes`);
  }
  const raw = parseEnvelope(body.subarray(0, jsonLength));
  const binary = new BinaryTail(body.subarray(jsonLength));
  const inputs = raw.inputs.map((input) => parseInput(input, binary));
  binary.end();
  const binaryDefault = raw.parameters?.['binary_data_output'] === true;
  const asked = raw.outputs?.map(({ name, parameters: own }) => ({ name, parameters: own }));
  return inferenceRequest({ id: raw.id ?? undefined, inputs, asked, binaryDefault }, model);
}

/** Holds typed inputs and the asked outputs, of any transport, against the model. */
export function inferenceRequest(
  parts: {
    readonly id: string | undefined;
    readonly inputs: readonly TensorValue[];
    readonly asked: readonly { readonly name: string; readonly parameters: RequestParameters }[] | undefined;
    readonly binaryDefault: boolean;
  },
  model: ModelInterface,
): InferenceRequest {
  for (const tensor of parts.inputs) if (!allFinite(tensor)) throw invalid(`${tensor.name}: a value is not finite`);
  matchInputs(parts.inputs, model.inputs);
  return {
    id: parts.id,
    inputs: parts.inputs,
    outputs: requestedOutputs(parts.asked, model.outputs, parts.binaryDefault),
  };
}

/** @throws GuardError `not-offered` */
export function assertOffered(name: string, own: RequestParameters): void {
  const refused = Object.keys(own ?? {}).find((key) => Object.hasOwn(refusedParameters, key));
  if (refused !== undefined) throw new GuardError('not-offered', `${name}: ${refusedParameters[refused] ?? refused}`);
}

/** A tensor without dimensions is a scalar of one element. */
export function elementCount(name: string, shape: readonly number[]): number {
  let length = 1;
  for (const size of shape) {
    if (size === 0) throw invalid(`${name}: a size of 0, which is an empty batch or image, is not served`);
    if (size < 0) throw invalid(`${name}: a size of ${size}`);
    length *= size;
    if (length > ELEMENTS_MAX) throw invalid(`${name}: more than ${ELEMENTS_MAX} elements`);
  }
  return length;
}

function parseEnvelope(bytes: Uint8Array): z.infer<typeof requestSchema> {
  assertJsonShape(bytes);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new GuardError('request-invalid', 'the body is not JSON in UTF-8', { cause });
  }
  const parsed = requestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = brokenRule(parsed.error.issues);
  throw invalid(`${placeText(path) || 'the request'}: ${ruleWords(message)}`);
}

function parseInput(input: RawInput, binary: BinaryTail): TensorValue {
  const { name, shape, datatype, parameters: own } = input;
  assertOffered(name, own);
  const length = elementCount(name, shape);
  const size = own?.['binary_data_size'] ?? undefined;
  const json = input.data ?? undefined;
  if (size !== undefined && json !== undefined) throw invalid(`${name}: both data and binary_data_size`);
  const data =
    size === undefined
      ? parseTensorJson(name, datatype, shape, length, json)
      : parseTensorBytes(name, datatype, length, binary.take(name, size));
  return { name, datatype, shape, data };
}

/** The bytes after the JSON, in the order of the inputs. */
class BinaryTail {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(name: string, size: string | number | boolean): Uint8Array {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
      throw invalid(`${name}: binary_data_size is ${String(size)}`);
    if (size > this.#bytes.length - this.#offset) throw invalid(`${name}: the body ends before its binary data does`);
    this.#offset += size;
    return this.#bytes.subarray(this.#offset - size, this.#offset);
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
  asked: readonly { readonly name: string; readonly parameters: RequestParameters }[] | undefined,
  available: readonly TensorInterface[],
  binaryDefault: boolean,
): readonly RequestedOutput[] {
  if (asked === undefined || asked.length === 0) return available.map(({ name }) => ({ name, binary: binaryDefault }));
  return asked.map(({ name, parameters: own }, index) => {
    assertOffered(name, own);
    if (!available.some((output) => output.name === name)) throw invalid(`the model has no output ${name}`);
    if (asked.findIndex((other) => other.name === name) !== index) throw invalid(`output ${name} is asked for twice`);
    const binary = own?.['binary_data'];
    return { name, binary: typeof binary === 'boolean' ? binary : binaryDefault };
  });
}

function invalid(message: string): GuardError {
  return new GuardError('request-invalid', message);
}
