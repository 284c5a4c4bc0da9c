// Guard settings from clean images, by the steps of spec/guard.md section 2, "Calibrating the ranges".
import type { GuardSettings } from '@edgekeep/core/model/guard-settings';
import type { Calibration, GuardToolReport, PixelValues } from '@edgekeep/core/model/guard-tool';
import { GuardError } from '../error.ts';
import { imageBatch } from '../model/guarded-model.ts';
import type { ModelSession } from '../model/session.ts';
import { batchStatistics, type ImageStatistics } from '../model/statistics.ts';
import type { TensorInterface, TensorValue } from '../tensors/tensor.ts';
import { guarded, openSessions, type ToolFiles } from './open-model.ts';
import { readImage, type ImageInput } from './picture.ts';

/** Of a range's width, at each end. */
const margin = 0.1;
const million = 1e6;
const sumTolerance = 1e-3;

export async function calibrate(
  files: ToolFiles,
  images: readonly string[],
  wanted: Calibration,
): Promise<GuardToolReport> {
  await using sessions = await openSessions(files);
  const { primary } = sessions;
  const input = imageInput(primary, wanted);
  const output = scoresOutput(primary, wanted);
  const valueRange = valueRangeOf(input.values);
  const statistics: ImageStatistics[] = [];
  let isDistribution = true;
  for (const file of images) {
    const image = readImage(file, input);
    const settings = { name: input.tensor.name, layout: input.layout, valueRange };
    statistics.push(...batchStatistics(imageBatch([image], settings), valueRange));
    const [scores] = await primary.run(withOthers(primary, image), [output.name]);
    isDistribution &&= sumsToOne(scores);
  }
  const range = (name: 'brightness' | 'contrast' | 'noise') =>
    rangeOf(
      statistics.map((each) => each[name]),
      wanted.quantile,
    );
  const settings: GuardSettings = {
    ...(wanted.threshold === undefined
      ? {}
      : { confidenceThresholdMillionths: Math.round(wanted.threshold * million) }),
    input: { name: input.tensor.name, layout: input.layout, valueRange },
    output: { name: output.name, scores: wanted.scores ?? (isDistribution ? 'probabilities' : 'logits') },
    ...(wanted.labels === undefined ? {} : { labels: wanted.labels }),
    statistics: { brightness: range('brightness'), contrast: range('contrast'), noise: range('noise') },
  };
  const model = guarded(sessions, settings);
  const verdicts: Record<string, number> = { accepted: 0, fallback: 0, review: 0 };
  const reasons: Record<string, number> = {};
  for (const file of images) {
    const outputs = [{ name: output.name, binary: false }];
    const { assessments = [] } = await model.infer({ id: undefined, inputs: [readImage(file, input)], outputs });
    for (const { judgement } of assessments) {
      verdicts[judgement.verdict] = (verdicts[judgement.verdict] ?? 0) + 1;
      for (const reason of judgement.reasons) reasons[reason] = (reasons[reason] ?? 0) + 1;
    }
  }
  return { kind: 'calibrated', settings, images: images.length, verdicts, reasons };
}

/** The input that takes images, its layout and its values, as they are named or as the model shows them. */
export function imageInput(
  { inputs }: Pick<ModelSession, 'inputs'>,
  wanted: Pick<Calibration, 'input' | 'layout' | 'values'>,
): ImageInput {
  const candidates = inputs.filter(
    ({ name, shape, datatype }) =>
      (wanted.input === undefined || name === wanted.input) &&
      shape.length === 4 &&
      (datatype === 'FP32' || datatype === 'UINT8'),
  );
  const [tensor, ...more] = candidates;
  if (tensor === undefined || more.length > 0) {
    const shown = inputs.map(({ name, datatype, shape }) => `${name} ${datatype} [${shape.join(',')}]`).join('; ');
    throw interfaceError(
      `which input takes the images (FP32 or UINT8, four dimensions; --input)? The model has ${shown}`,
    );
  }
  const layout = wanted.layout ?? layoutOf(tensor);
  return { tensor, layout, values: wanted.values ?? { black: 0, white: tensor.datatype === 'UINT8' ? 255 : 1 } };
}

function layoutOf({ name, shape }: TensorInterface): 'NCHW' | 'NHWC' {
  const isChannels = (size: number | undefined) => size !== undefined && [1, 3, 4].includes(size);
  const [, first, , last] = shape;
  if (isChannels(first) !== isChannels(last)) return isChannels(first) ? 'NCHW' : 'NHWC';
  throw interfaceError(`the layout of ${name} [${shape.join(',')}] is not clear: name it (--layout NCHW or NHWC)`);
}

function scoresOutput({ outputs }: ModelSession, wanted: Calibration): TensorInterface {
  const candidates = outputs.filter(
    ({ name, shape, datatype }) =>
      (wanted.output === undefined || name === wanted.output) && shape.length >= 2 && datatype === 'FP32',
  );
  const [output, ...more] = candidates;
  if (output !== undefined && more.length === 0) return output;
  const shown = outputs.map(({ name, datatype, shape }) => `${name} ${datatype} [${shape.join(',')}]`).join('; ');
  throw interfaceError(`which output has the scores (FP32, [N,K]; --output)? The model has ${shown}`);
}

function valueRangeOf(values: PixelValues): GuardSettings['input']['valueRange'] {
  const ends =
    'black' in values
      ? [values.black, values.white]
      : values.mean.flatMap((mean, at) => [0, 1].map((pixel) => (pixel - mean) / (values.deviation[at] ?? 1)));
  return {
    leastMillionths: Math.floor(Math.min(...ends) * million),
    mostMillionths: Math.ceil(Math.max(...ends) * million),
  };
}

/** Widened by a tenth at each end, and outward to whole millionths. */
function rangeOf(values: readonly number[], quantile: number) {
  const sorted = values.toSorted((one, other) => one - other);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? 0;
  const [least, most] = [at(quantile), at(1 - quantile)];
  const wider = (most - least) * margin;
  return {
    leastMillionths: Math.floor((least - wider) * million),
    mostMillionths: Math.ceil((most + wider) * million),
  };
}

function sumsToOne(scores: TensorValue | undefined): boolean {
  const { data } = scores ?? {};
  if (!(data instanceof Float32Array)) return false;
  const sum = data.reduce((total, score) => total + score, 0);
  return data.every((score) => score >= 0 && score <= 1) && Math.abs(sum - (scores?.shape[0] ?? 1)) <= sumTolerance;
}

/** Only models whose other inputs are none can be calibrated with images alone. */
function withOthers({ inputs }: ModelSession, image: TensorValue): readonly TensorValue[] {
  const others = inputs.filter(({ name }) => name !== image.name).map(({ name }) => name);
  if (others.length > 0) throw interfaceError(`the model takes ${others.join(', ')} besides images`);
  return [image];
}

function interfaceError(message: string): GuardError {
  return new GuardError('model-interface', message);
}
