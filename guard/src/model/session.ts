// One loaded model: opened from bytes in memory, run, released, zeroed. The only file that runs ONNX Runtime.
import { messageOf } from '@edgekeep/core/message-of';
import { InferenceSession, Tensor } from './runtime.ts';
import { GuardError } from '../error.ts';
import { ELEMENTS_MAX } from '../limits.ts';
import { externalLocations } from './onnx-locations.ts';
import { runtimeMessage } from './runtime-message.ts';
import {
  datatypeOfRuntime,
  datatypes,
  type Datatype,
  type TensorData,
  type TensorInterface,
  type TensorValue,
} from '../tensors/tensor.ts';

/** What to open: the model's bytes and, only for `.onnx`, its external data by the name that the model uses. */
export interface ModelBytes {
  readonly format: 'ort' | 'onnx';
  readonly bytes: Buffer;
  readonly externalData: readonly { readonly location: string; readonly bytes: Buffer }[];
}

/** Errors only: ONNX Runtime's warnings name nodes of the publisher's graph. */
const logSeverityError = 3;
/** ONNX Runtime's message when the kernel refused memory. */
const outOfMemory = /bad_alloc|allocate memory/i;
/** The binding's message for an element type that it lacks, by ONNX's number. */
const unknownElement = /^Unsupported data type: (\d+)$/;

export class ModelSession {
  readonly inputs: readonly TensorInterface[];
  readonly outputs: readonly TensorInterface[];
  readonly #model: ModelBytes;
  #session: InferenceSession;

  /** Takes ownership of the bytes: they must not be changed until the session is disposed of, which zeroes them. */
  static async open(model: ModelBytes): Promise<ModelSession> {
    const bytes = [model.bytes, ...model.externalData.map((file) => file.bytes)];
    try {
      if (model.format === 'onnx') assertOwnFiles(model);
      return new ModelSession(await create(model), model);
    } catch (cause) {
      for (const buffer of bytes) buffer.fill(0);
      if (cause instanceof GuardError) throw cause;
      const missing = unknownElement.exec(messageOf(cause))?.[1];
      if (missing !== undefined) {
        const what = missing === '16' ? 'BFLOAT16' : `element type ${missing}`;
        throw new GuardError('model-interface', `an input or output is ${what}, which is not served`, { cause });
      }
      throw new GuardError(
        'model-load',
        `ONNX Runtime cannot load the ${model.format} model: ${runtimeMessage(cause)}`,
        {
          cause,
        },
      );
    }
  }

  private constructor(session: InferenceSession, model: ModelBytes) {
    this.#session = session;
    this.#model = model;
    this.inputs = session.inputMetadata.map(describe);
    this.outputs = session.outputMetadata.map(describe);
  }

  /**
   * Runs the model. The caller has matched the inputs with `inputs`. Blocks the thread while it computes.
   * @throws GuardError `model-run`
   */
  async run(inputs: readonly TensorValue[], outputNames: readonly string[]): Promise<readonly TensorValue[]> {
    const feeds = Object.fromEntries(inputs.map((input) => [input.name, toRuntime(input)]));
    let results: InferenceSession.OnnxValueMapType;
    try {
      results = await this.#session.run(feeds, [...outputNames]);
    } catch (cause) {
      // A session that once reached the memory limit keeps requesting as much: a new one starts small again.
      if (outOfMemory.test(messageOf(cause))) await this.#openAgain();
      throw new GuardError('model-run', `the model failed on this input: ${runtimeMessage(cause)}`, { cause });
    }
    return outputNames.map((name) => {
      const result = results[name];
      if (result === undefined) throw new GuardError('model-run', `the model gave no output named ${name}`);
      return fromRuntime(name, result);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The runtime reads weights straight out of these bytes until it is released.
    await this.#session.release();
    for (const bytes of [this.#model.bytes, ...this.#model.externalData.map((file) => file.bytes)]) bytes.fill(0);
  }

  async #openAgain(): Promise<void> {
    await this.#session.release();
    this.#session = await create(this.#model);
  }
}

async function create(model: ModelBytes): Promise<InferenceSession> {
  return InferenceSession.create(model.bytes, sessionOptions(model));
}

/** ONNX Runtime opens any path that a model names: none may be left that its caller does not know. */
function assertOwnFiles({ bytes, externalData }: ModelBytes): void {
  const known = new Set(externalData.map(({ location }) => location));
  for (const location of known) {
    if (/^\/|\\|(?:^|\/)\.\.(?:\/|$)/.test(location))
      throw new GuardError('model-load', `the model's file ${JSON.stringify(location)} lies outside of its folder`);
  }
  for (const location of externalLocations(bytes)) {
    if (!known.has(location))
      throw new GuardError(
        'model-load',
        `the model takes weights from ${JSON.stringify(location)}, which is not among its files`,
      );
  }
}

function sessionOptions(model: ModelBytes): InferenceSession.SessionOptions {
  const common = { executionProviders: ['cpu'], logSeverityLevel: logSeverityError } as const;
  if (model.format === 'ort') {
    return {
      ...common,
      // The weights stay where they are; a copy would be in memory that nobody can zero.
      extra: {
        session: {
          load_model_format: 'ORT',
          use_ort_model_bytes_directly: '1',
          use_ort_model_bytes_for_initializers: '1',
        },
      },
    };
  }
  if (model.externalData.length === 0) return common;
  return { ...common, externalData: model.externalData.map((file) => ({ path: file.location, data: file.bytes })) };
}

function describe(metadata: InferenceSession.ValueMetadata): TensorInterface {
  if (!metadata.isTensor) {
    const advice = 'a classifier of scikit-learn is served when it is converted with the option `zipmap` off';
    throw new GuardError('model-interface', `${metadata.name} is a list or a map, only tensors are served; ${advice}`);
  }
  const datatype = datatypeOfRuntime(metadata.type);
  if (datatype === undefined) {
    throw new GuardError(
      'model-interface',
      `${metadata.name} has type ${metadata.type}, which the protocol has no name for`,
    );
  }
  const shape = metadata.shape.map((size) => (typeof size === 'number' ? size : -1));
  // Sizes that a request chooses have a limit per request.
  const elements = shape.reduce((product, size) => product * Math.max(1, size), 1);
  if (elements > ELEMENTS_MAX) {
    const limit = `at most ${ELEMENTS_MAX} are served`;
    throw new GuardError('model-interface', `${metadata.name} declares ${elements} elements, ${limit}`);
  }
  return { name: metadata.name, datatype, shape };
}

function toRuntime({ datatype, data, shape }: TensorValue): Tensor {
  const tensor = new Tensor(datatypes[datatype].runtime, data, shape);
  // The runtime's binding reads a Float16Array, which its own constructor makes of the bits, as empty; the bits it reads.
  if (datatype === 'FP16') Object.defineProperty(tensor, 'data', { value: data });
  return tensor;
}

function fromRuntime(name: string, value: Tensor): TensorValue {
  const datatype = datatypeOfRuntime(value.type);
  if (datatype === undefined) throw new GuardError('model-run', `output ${name} has the unexpected type ${value.type}`);
  return { name, datatype, shape: value.dims, data: tensorData(datatype, value.data) };
}

/** Where the JavaScript engine has Float16Array the binding returns one; only its bit patterns are needed. */
function tensorData(datatype: Datatype, data: Tensor.DataType): TensorData {
  return datatype === 'FP16' && ArrayBuffer.isView(data)
    ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2)
    : data;
}
