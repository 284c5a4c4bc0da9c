// `edgekeep guard calibrate`: guard settings from a folder of clean images (docs/calibrate.md).
import { readdir, stat, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { counted } from '@edgekeep/core/counted';
import type { GuardSettings } from '@edgekeep/core/model/guard-settings';
import { type Command, exitCodes, UsageError } from '../command.ts';
import { table } from '../table.ts';
import { guardFilesAt } from './model-files.ts';
import { numberOf, pixelValues, pixelValuesHelp, pixelValuesOptions } from './pixel-values.ts';
import { runGuardTool } from './tool.ts';
import { readText } from '../person-file.ts';

const imageTypes = ['.png', '.npy'];
const otherPictures = /\.(?:jpe?g|bmp|tiff?|webp|gif)$/i;
/** Fewer say little about the ends of a range. */
const IMAGES_ENOUGH = 100;
const quantileDefault = '0.005';

export const command: Command = {
  usage:
    'guard calibrate MODEL IMAGES [--out FILE] [--fallback FILE] [--labels LIST] [--threshold N] [--quantile N] [--values BLACK:WHITE | --mean LIST --deviation LIST] [--input NAME] [--layout NCHW|NHWC] [--output NAME] [--scores logits|probabilities]',
  help: `
Reads every .png and .npy file of the folder IMAGES, computes the statistics of each, and writes guard settings for \`model publish --guard\`.
IMAGES are clean: images as your application gives them to the model, which the model was not trained on. They are not resized.
What is not named is taken from the model: its one input for images, the layout by its channels, its one output of scores, and from its answers
whether scores are probabilities.

--out       write the settings here; left out: to stdout
--fallback  the second model: its verdicts count in the summary
--labels    the names of the classes, in order, separated by commas; or a file with one on each line
--threshold  the least probability of an accepted answer (0.85)
--quantile  the share of clean images that may be outside at each end of each statistic (${quantileDefault})
${pixelValuesHelp}
--input, --layout, --output, --scores  where the model leaves a choice
`,
  positionals: { min: 2, max: 2 },
  options: {
    ...pixelValuesOptions,
    out: { type: 'string' },
    fallback: { type: 'string' },
    labels: { type: 'string' },
    threshold: { type: 'string' },
    quantile: { type: 'string' },
    input: { type: 'string' },
    layout: { type: 'string' },
    output: { type: 'string' },
    scores: { type: 'string' },
  },
  async run(args) {
    const [model = '', folder = ''] = args.positionals;
    const threshold = args.option('threshold');
    const labels = args.option('labels');
    const out = args.option('out');
    const calibration = {
      input: args.option('input'),
      layout: oneOf('layout', args.option('layout'), ['NCHW', 'NHWC']),
      values: pixelValues(args),
      output: args.option('output'),
      scores: oneOf('scores', args.option('scores'), ['logits', 'probabilities']),
      labels: labels === undefined ? undefined : await labelsOf(labels),
      threshold: threshold === undefined ? undefined : numberOf('threshold', threshold),
      quantile: numberOf('quantile', args.option('quantile') ?? quantileDefault),
    };
    const files = await guardFilesAt(model, args.option('fallback'));
    const images = await imagesIn(folder);
    const report = await runGuardTool({ kind: 'calibrate', files, images, calibration }, 'calibrated');
    const { settings } = report;
    const text = `${JSON.stringify(settings, null, 2)}\n`;
    if (out === undefined) return { exitCode: exitCodes.ok, value: settings, text };
    await writeFile(out, text);
    return { exitCode: exitCodes.ok, value: report, text: summary(report, out) };
  },
};

interface Summary {
  readonly settings: GuardSettings;
  readonly images: number;
  readonly verdicts: Readonly<Record<string, number>>;
  readonly reasons: Readonly<Record<string, number>>;
}

function summary({ settings, images, verdicts, reasons }: Summary, out: string): string {
  const { input, output, statistics } = settings;
  const fraction = (millionths: number) => (millionths / 1e6).toFixed(4);
  const ranges = (['brightness', 'contrast', 'noise'] as const).map((name) => {
    const { leastMillionths, mostMillionths } = statistics[name];
    return [name, fraction(leastMillionths), fraction(mostMillionths)];
  });
  const share = (count: number | undefined = 0) => `${((100 * count) / images).toFixed(1)} %`;
  const why = Object.entries(reasons).map(([reason, count]) => `${reason} ${count}`);
  return [
    `wrote ${out} from ${counted(images, 'image')}: input ${input.name} (${input.layout}, ${fraction(input.valueRange.leastMillionths)} to ${fraction(input.valueRange.mostMillionths)}), output ${output.name} (${output.scores})`,
    table([['STATISTIC', 'LOW', 'HIGH'], ...ranges]),
    `of these images: ${share(verdicts['accepted'])} accepted, ${share(verdicts['fallback'])} fallback, ${share(verdicts['review'])} review${why.length === 0 ? '' : ` (${why.join(', ')})`}`,
    ...(images < IMAGES_ENOUGH
      ? [`warning: ${counted(images, 'image')} say little about rare clean images: use ${IMAGES_ENOUGH} or more`]
      : []),
  ].join('\n');
}

/** Pictures of other kinds are named, so that nobody believes that they count. */
async function imagesIn(folder: string): Promise<string[]> {
  if (!(await stat(folder)).isDirectory()) throw new UsageError(`${folder} is not a folder of images`);
  const all = await readdir(folder);
  const names = all.filter((name) => imageTypes.includes(extname(name).toLowerCase()));
  const others = all.filter((name) => otherPictures.test(name));
  const advice = 'convert them to .png, or save what your application gives the model as .npy';
  if (names.length === 0) throw new UsageError(`${folder} has no ${imageTypes.join(' or ')} file: ${advice}`);
  if (others.length > 0)
    process.stderr.write(`warning: ${counted(others.length, 'picture')} of other kinds not read: ${advice}\n`);
  return names.toSorted().map((name) => join(folder, name));
}

async function labelsOf(text: string): Promise<string[]> {
  // Text that names no file is a list.
  const isFile = !text.includes(',') && (await stat(text).catch(() => undefined))?.isFile() === true;
  const parts = isFile ? (await readText(text)).split(/\r?\n/) : text.split(',');
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

function oneOf<T extends string>(name: string, text: string | undefined, choices: readonly T[]): T | undefined {
  const found = choices.find((choice) => choice === text);
  if (text !== undefined && found === undefined) throw new UsageError(`--${name} is ${choices.join(' or ')}`);
  return found;
}
