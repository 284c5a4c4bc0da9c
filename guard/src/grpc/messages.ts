// The messages of the protocol's gRPC flavor, by the field numbers of spec/inference.proto: requests to typed tensors, answers to bytes.
// Tensors become bytes by the same code as binary data over HTTP. Follows spec/inference.md section 6.
import { backend, platform, serverName } from '../describe.ts';
import { GuardError } from '../error.ts';
import type { Inference } from '../model/guarded-model.ts';
import {
  assertOffered,
  elementCount,
  inferenceRequest,
  type InferenceRequest,
  type ModelInterface,
} from '../inference-request.ts';
import { judgementParameters } from '../inference-response.ts';
import type { InferenceService } from '../inference-service.ts';
import { PARAMETERS_MAX, RANK_MAX, TENSORS_MAX, TEXT_MAX } from '../limits.ts';
import { packedVarints, protobufFields, type ProtobufField, ProtobufWriter } from '../protobuf.ts';
import { extensions } from '../routes.ts';
import { contentsData, type TensorContents } from './tensor-contents.ts';
import { parseTensorBytes, tensorBytes } from '../tensors/tensor-bytes.ts';
import { isDatatype, type TensorInterface, type TensorValue } from '../tensors/tensor.ts';
import type { Duration } from '../timings.ts';

type Parameters = Record<string, string | number | boolean>;

/** Pieces of one message are joined (protobuf.dev, "Last One Wins"); clients send one. */
const CONTENTS_PIECES_MAX = 16;

/** A request whose tensors are not read yet: the model says which it takes. */
export interface GrpcInferRequest {
  readonly model: string;
  readonly version: string | undefined;
  readonly id: string;
  readonly inputs: readonly GrpcTensor[];
  readonly outputs: readonly { readonly name: string; readonly parameters: Parameters }[];
  readonly raw: readonly Uint8Array[];
}

interface GrpcTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly parameters: Parameters;
  readonly contents: TensorContents | undefined;
}

/** Name and version: the first two fields of each request about a model. */
export function parseModelRequest(bytes: Uint8Array): { readonly model: string; readonly version: string | undefined } {
  const texts = new Map<number, string>();
  for (const { field, bytes: value } of fieldsOf(bytes)) if (field <= 2) texts.set(field, textOf(value));
  const version = texts.get(2) ?? '';
  return { model: texts.get(1) ?? '', version: version === '' ? undefined : version };
}

/** @throws GuardError `request-invalid`, `not-offered` */
export function parseInferRequest(bytes: Uint8Array): GrpcInferRequest {
  const inputs: GrpcTensor[] = [];
  const outputs: { name: string; parameters: Parameters }[] = [];
  const raw: Uint8Array[] = [];
  let id = '';
  for (const { field, bytes: value } of fieldsOf(bytes)) {
    if (field === 3) id = textOf(value);
    else if (field === 5) inputs.push(parseTensor(value));
    else if (field === 6) outputs.push(parseOutput(value));
    else if (field === 7) raw.push(value);
    if (Math.max(inputs.length, outputs.length, raw.length) > TENSORS_MAX)
      throw invalid(`more than ${TENSORS_MAX} tensors`);
  }
  return { ...parseModelRequest(bytes), id, inputs, outputs, raw };
}

/** @throws GuardError `request-invalid`, `not-offered` */
export function typedRequest(request: GrpcInferRequest, model: ModelInterface): InferenceRequest {
  const { inputs, raw, id, outputs } = request;
  if (raw.length > 0 && raw.length !== inputs.length)
    throw invalid(`${raw.length} raw contents for ${inputs.length} inputs`);
  const typed = inputs.map(({ name, datatype, shape, parameters, contents }, at): TensorValue => {
    assertOffered(name, parameters);
    if (!isDatatype(datatype)) throw invalid(`${name}: ${JSON.stringify(datatype)} is not a datatype that is served`);
    const length = elementCount(name, shape);
    const bytes = raw[at];
    if (bytes !== undefined && contents !== undefined) throw invalid(`${name}: both contents and raw contents`);
    const data =
      bytes === undefined
        ? contentsData(name, datatype, length, contents)
        : parseTensorBytes(name, datatype, length, bytes);
    return { name, datatype, shape, data };
  });
  return inferenceRequest(
    { id: id === '' ? undefined : id, inputs: typed, asked: outputs, binaryDefault: true },
    model,
  );
}

/** Outputs are raw contents, in the order of `outputs`. */
export function encodeInferResponse(
  service: InferenceService,
  request: InferenceRequest,
  inference: Inference,
): Uint8Array {
  const { name, version } = service.model;
  const writer = new ProtobufWriter()
    .text(1, name)
    .text(2, version)
    .text(3, request.id ?? '');
  for (const [key, value] of Object.entries(judgementParameters(inference.assessments)))
    writer.message(4, (entry) => entry.text(1, key).message(2, (parameter) => writeParameter(parameter, key, value)));
  for (const output of inference.outputs) writer.message(5, (tensor) => writeTensor(tensor, output));
  for (const output of inference.outputs) writer.bytes(6, tensorBytes(output));
  return writer.end();
}

/** ModelStreamInferResponse: an answer, or why there is none. */
export function encodeStreamAnswer(answer: Uint8Array | string): Uint8Array {
  const writer = new ProtobufWriter();
  return typeof answer === 'string' ? writer.text(1, answer).end() : writer.bytes(2, answer).end();
}

export function encodeTruth(value: boolean): Uint8Array {
  return new ProtobufWriter().varint(1, value).end();
}

export function encodeServerMetadata({ version }: InferenceService): Uint8Array {
  const writer = new ProtobufWriter().text(1, serverName).text(2, version);
  for (const extension of extensions) writer.text(3, extension);
  return writer.end();
}

export function encodeModelMetadata({ model }: InferenceService): Uint8Array {
  const writer = new ProtobufWriter().text(1, model.name).text(2, model.version).text(3, platform);
  for (const tensor of model.inputs) writer.message(4, (inner) => writeTensor(inner, tensor));
  for (const tensor of model.outputs) writer.message(5, (inner) => writeTensor(inner, tensor));
  return writer.end();
}

/** DataType of the public model_config.proto. */
const dataTypes: Readonly<Record<TensorInterface['datatype'], number>> = {
  BOOL: 1,
  UINT8: 2,
  UINT16: 3,
  UINT32: 4,
  UINT64: 5,
  INT8: 6,
  INT16: 7,
  INT32: 8,
  INT64: 9,
  FP16: 10,
  FP32: 11,
  FP64: 12,
  BYTES: 13,
};

export function encodeModelConfiguration({ model }: InferenceService): Uint8Array {
  const config = new ProtobufWriter().text(1, model.name).text(2, platform).text(17, backend);
  for (const { name, datatype, shape } of model.inputs)
    config.message(5, (input) => input.text(1, name).varint(2, dataTypes[datatype]).packed(4, shape));
  for (const { name, datatype, shape } of model.outputs)
    config.message(6, (output) => output.text(1, name).varint(2, dataTypes[datatype]).packed(3, shape));
  return new ProtobufWriter().bytes(1, config.end()).end();
}

export function encodeStatistics({ model, timings }: InferenceService): Uint8Array {
  const totals = timings.read();
  const duration =
    ({ count, ns }: Duration) =>
    (writer: ProtobufWriter) =>
      writer.varint(1, count).varint(2, ns);
  return new ProtobufWriter()
    .message(1, (statistics) =>
      statistics
        .text(1, model.name)
        .text(2, model.version)
        .varint(3, totals.lastInference)
        .varint(4, totals.inferences)
        .varint(5, totals.executions)
        .message(6, (steps) =>
          steps
            .message(1, duration(totals.success))
            .message(2, duration(totals.fail))
            .message(3, duration(totals.queue))
            .message(4, duration(totals.input))
            .message(5, duration(totals.infer))
            .message(6, duration(totals.output)),
        ),
    )
    .end();
}

export function encodeRepositoryIndex({ model, stopping }: InferenceService): Uint8Array {
  return new ProtobufWriter()
    .message(1, (entry) =>
      entry
        .text(1, model.name)
        .text(2, model.version)
        .text(3, stopping ? 'UNAVAILABLE' : 'READY'),
    )
    .end();
}

function writeTensor(writer: ProtobufWriter, { name, datatype, shape }: TensorInterface): ProtobufWriter {
  return writer.text(1, name).text(2, datatype).packed(3, shape);
}

/** A oneof is written even with its default; numbers have the kind that spec/inference.md section 4 gives them. */
function writeParameter(writer: ProtobufWriter, key: string, value: Parameters[string]): ProtobufWriter {
  if (typeof value === 'string') return writer.bytes(3, Buffer.from(value));
  if (typeof value === 'number' && key !== 'class') return writer.double(4, value);
  return writer.choice(typeof value === 'boolean' ? 1 : 2, value);
}

function parseTensor(bytes: Uint8Array): GrpcTensor {
  const found: { -readonly [K in keyof GrpcTensor]: GrpcTensor[K] } & { contents: Uint8Array[] | undefined } = {
    name: '',
    datatype: '',
    shape: [],
    parameters: {},
    contents: undefined,
  };
  for (const field of fieldsOf(bytes)) {
    if (field.field === 1) found.name = textOf(field.bytes);
    else if (field.field === 2) found.datatype = textOf(field.bytes);
    else if (field.field === 3) found.shape = [...found.shape, ...sizesOf(field)];
    else if (field.field === 4) addParameter(found.parameters, field.bytes);
    else if (field.field === 5) (found.contents ??= []).push(field.bytes);
    if ((found.contents?.length ?? 0) > CONTENTS_PIECES_MAX)
      throw invalid(`${found.name}: contents in too many pieces`);
    if (found.shape.length > RANK_MAX) throw invalid(`${found.name}: more than ${RANK_MAX} dimensions`);
  }
  return found;
}

function sizesOf(field: ProtobufField): readonly number[] {
  const sizes: number[] = [];
  for (const size of packedVarints(field, invalid)) {
    sizes.push(Number(BigInt.asIntN(64, size)));
    if (sizes.length > RANK_MAX) break;
  }
  return sizes;
}

function parseOutput(bytes: Uint8Array): { name: string; parameters: Parameters } {
  const output = { name: '', parameters: {} };
  for (const { field, bytes: value } of fieldsOf(bytes)) {
    if (field === 1) output.name = textOf(value);
    else if (field === 2) addParameter(output.parameters, value);
  }
  return output;
}

function addParameter(parameters: Parameters, entry: Uint8Array): void {
  let key = '';
  let value: Parameters[string] = '';
  for (const { field, bytes } of fieldsOf(entry)) {
    if (field === 1) key = textOf(bytes);
    else if (field === 2)
      for (const choice of fieldsOf(bytes)) value = choice.field === 3 ? textOf(choice.bytes) : Number(choice.number);
  }
  parameters[key] = value;
  if (Object.keys(parameters).length > PARAMETERS_MAX) throw invalid(`more than ${PARAMETERS_MAX} parameters`);
}

function fieldsOf(bytes: Uint8Array) {
  return protobufFields(bytes, invalid);
}

function textOf(bytes: Uint8Array): string {
  if (bytes.length > 4 * TEXT_MAX) throw invalid(`a text of more than ${TEXT_MAX} characters`);
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    if (text.length <= TEXT_MAX) return text;
  } catch (cause) {
    throw new GuardError('request-invalid', 'a text is not UTF-8', { cause });
  }
  throw invalid(`a text of more than ${TEXT_MAX} characters`);
}

function invalid(why: string): GuardError {
  return new GuardError('request-invalid', why);
}
