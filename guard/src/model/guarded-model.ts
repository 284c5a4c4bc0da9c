// A model behind the guard: runs the primary, judges input and answer, and asks the fallback model where that can help. A model without
// settings runs without the guard. Follows spec/guard.md sections 2 to 4.
import { confidenceThreshold, type GuardSettings } from '@edgekeep/core/model/guard-settings';
import { GuardError } from '../error.ts';
import type { InferenceRequest } from '../inference-request.ts';
import { IMAGES_MAX } from '../limits.ts';
import type { ModelSession } from './session.ts';
import { batchStatistics, unusualStatistics, type ImageBatch, type ImageStatistics } from './statistics.ts';
import type { TensorInterface, TensorValue } from '../tensors/tensor.ts';
import { gradeScores, judge, wantsFallback, type Grade, type Judgement } from './verdict.ts';

/** The guard's view of one image of a batch. */
export interface Assessment {
  readonly statistics: ImageStatistics;
  readonly judgement: Judgement;
  readonly label: string | undefined;
}

/** `assessments` is undefined for a model without guard settings. */
export interface Inference {
  readonly outputs: readonly TensorValue[];
  readonly assessments: readonly Assessment[] | undefined;
}

export class GuardedModel {
  readonly name: string;
  readonly version: string;
  readonly inputs: readonly TensorInterface[];
  readonly outputs: readonly TensorInterface[];
  readonly settings: GuardSettings | undefined;
  readonly hasFallback: boolean;
  readonly #primary: ModelSession;
  readonly #fallback: ModelSession | undefined;

  /** @throws GuardError `model-interface` when the models do not have what the settings name */
  constructor(
    model: { readonly name: string; readonly version: string },
    sessions: { readonly primary: ModelSession; readonly fallback: ModelSession | undefined },
    settings: GuardSettings | undefined,
  ) {
    this.name = model.name;
    this.version = model.version;
    this.#primary = sessions.primary;
    this.#fallback = sessions.fallback;
    this.inputs = sessions.primary.inputs;
    this.outputs = sessions.primary.outputs;
    this.settings = settings;
    // Without settings there is no confidence that could trigger the fallback.
    this.hasFallback = settings !== undefined && sessions.fallback !== undefined;
    if (settings === undefined) return;
    assertInterface('primary', sessions.primary, settings);
    if (sessions.fallback === undefined) return;
    assertInterface('fallback', sessions.fallback, settings);
    assertSameInputs(sessions.primary, sessions.fallback);
  }

  async infer(request: InferenceRequest): Promise<Inference> {
    const asked = request.outputs.map((output) => output.name);
    if (this.settings === undefined) {
      return { outputs: await this.#primary.run(request.inputs, asked), assessments: undefined };
    }
    const { input, output } = this.settings;
    const batch = imageBatch(request.inputs, input);
    const outputs = await this.#primary.run(request.inputs, [...new Set([...asked, output.name])]);
    const rows = this.#scoreRows(outputs, batch.count);
    const { assessments, merged } = await this.#assess(request.inputs, batch, rows, this.settings);
    const answered = outputs.filter((tensor) => asked.includes(tensor.name));
    return {
      outputs: answered.map((tensor) => (tensor.name === output.name ? { ...tensor, data: merged } : tensor)),
      assessments,
    };
  }

  async #assess(
    inputs: readonly TensorValue[],
    batch: ImageBatch,
    rows: ScoreRows,
    settings: GuardSettings,
  ): Promise<{ assessments: readonly Assessment[]; merged: Float32Array }> {
    const threshold = confidenceThreshold(settings);
    const images = batchStatistics(batch, settings.input.valueRange).map((statistics, index) => ({
      statistics,
      unusual: unusualStatistics(statistics, settings.statistics),
      primary: gradeScores(rows.row(index), settings.output.scores),
    }));
    const unsure = images.some(({ unusual, primary }) => wantsFallback(unusual, primary, threshold));
    const second = unsure ? await this.#fallbackRows(inputs, batch.count, rows.classes, settings) : undefined;
    const merged = rows.data.slice();
    const assessments = images.map(({ statistics, unusual, primary }, index) => {
      const fallback: Grade | undefined = second && gradeScores(second.row(index), settings.output.scores);
      const judgement = judge(unusual, primary, fallback, threshold);
      if (judgement.modelUsed === 'fallback' && second !== undefined) {
        merged.set(second.row(index), index * rows.classes);
      }
      return { statistics, judgement, label: settings.labels?.[judgement.grade.class] };
    });
    return { assessments, merged };
  }

  async #fallbackRows(inputs: readonly TensorValue[], count: number, classes: number, settings: GuardSettings) {
    if (this.#fallback === undefined) return undefined;
    // The whole batch: a model may be made for one batch size only.
    const rows = this.#scoreRows(await this.#fallback.run(inputs, [settings.output.name]), count);
    if (rows.classes !== classes) {
      throw new GuardError('model-run', `the fallback model gave ${rows.classes} classes, the primary ${classes}`);
    }
    return rows;
  }

  #scoreRows(outputs: readonly TensorValue[], count: number): ScoreRows {
    const rows = scoreRows(outputs, this.settings?.output.name ?? '', count);
    const labels = this.settings?.labels?.length;
    if (labels !== undefined && rows.classes !== labels)
      throw new GuardError('model-run', `the model gave ${rows.classes} classes, the settings have ${labels} labels`);
    return rows;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#primary[Symbol.asyncDispose]();
    await this.#fallback?.[Symbol.asyncDispose]();
  }
}

interface ScoreRows {
  readonly data: Float32Array;
  readonly classes: number;
  row(index: number): Float32Array;
}

function scoreRows(outputs: readonly TensorValue[], name: string, count: number): ScoreRows {
  const tensor = outputs.find((output) => output.name === name);
  const [rows, classes, ...ones] = tensor?.shape ?? [];
  const { data } = tensor ?? {};
  if (
    !(data instanceof Float32Array) ||
    rows !== count ||
    classes === undefined ||
    classes < 2 ||
    ones.some((size) => size !== 1)
  ) {
    throw new GuardError('model-run', `output ${name}: expected FP32 scores [${count},K] with K >= 2`);
  }
  return { data, classes, row: (index) => data.subarray(index * classes, (index + 1) * classes) };
}

/** The request's tensors match the model's interface already; only what depends on the request alone remains. */
export function imageBatch(inputs: readonly TensorValue[], input: GuardSettings['input']): ImageBatch {
  const tensor = inputs.find((candidate) => candidate.name === input.name);
  const [count = 0, first = 0, second = 0, third = 0] = tensor?.shape ?? [];
  const { data } = tensor ?? {};
  const [channels, height, width] = input.layout === 'NCHW' ? [first, second, third] : [third, first, second];
  if (!(data instanceof Float32Array || data instanceof Uint8Array) || height < 3 || width < 3) {
    throw new GuardError('request-invalid', `${input.name}: the guard needs FP32 or UINT8 images of at least 3 x 3`);
  }
  if (count > IMAGES_MAX)
    throw new GuardError('request-too-large', `${input.name}: ${count} images, at most ${IMAGES_MAX}`);
  return { data, layout: input.layout, count, channels, height, width };
}

function assertInterface(role: string, session: ModelSession, settings: GuardSettings): void {
  const input = session.inputs.find((candidate) => candidate.name === settings.input.name);
  const output = session.outputs.find((candidate) => candidate.name === settings.output.name);
  if (input === undefined || input.shape.length !== 4 || !['FP32', 'UINT8'].includes(input.datatype)) {
    const batch = 'a batch of images [N,C,H,W] or [N,H,W,C], FP32 or UINT8';
    const what = input === undefined ? 'does not exist' : `is ${input.datatype} [${input.shape.join(',')}]`;
    throw new GuardError('model-interface', `input ${settings.input.name} of the ${role} model ${what}: ${batch}`);
  }
  const [, classes = -1, ...ones] = output?.shape ?? [];
  // A network without a last flattening gives [N,K,1,1].
  if (output === undefined || !isScores(output) || ones.some((size) => size !== 1 && size !== -1)) {
    const what = output === undefined ? 'does not exist' : `is ${output.datatype} [${output.shape.join(',')}]`;
    throw new GuardError(
      'model-interface',
      `output ${settings.output.name} of the ${role} model ${what}: scores [N,K] or [N,K,1,1], FP32, are expected`,
    );
  }
  if (settings.labels !== undefined && classes !== -1 && classes !== settings.labels.length) {
    throw new GuardError(
      'model-interface',
      `the ${role} model has ${classes} classes, the settings ${settings.labels.length} labels`,
    );
  }
}

function isScores({ datatype, shape }: TensorInterface): boolean {
  return datatype === 'FP32' && shape.length >= 2;
}

/** Both models are fed the very same tensors. */
function assertSameInputs(primary: ModelSession, fallback: ModelSession): void {
  const fits = primary.inputs.every(({ name, datatype, shape }) => {
    const other = fallback.inputs.find((candidate) => candidate.name === name);
    return (
      other?.datatype === datatype &&
      other.shape.length === shape.length &&
      other.shape.every((size, index) => size === shape[index] || size === -1)
    );
  });
  if (!fits || fallback.inputs.length !== primary.inputs.length) {
    throw new GuardError('model-interface', 'the fallback model does not take every input the primary takes');
  }
}
