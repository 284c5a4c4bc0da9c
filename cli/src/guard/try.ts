// `edgekeep guard try`: one inference with the guard's own code, before a model is published (docs/calibrate.md).
import { type Command, exitCodes } from '../command.ts';
import { readGuardSettings } from './settings.ts';
import { guardFilesAt } from './model-files.ts';
import { pixelValues, pixelValuesHelp, pixelValuesOptions } from './pixel-values.ts';
import { runGuardTool } from './tool.ts';

export const command: Command = {
  usage: 'guard try MODEL INPUT [--guard FILE] [--fallback FILE] [--values BLACK:WHITE | --mean LIST --deviation LIST]',
  help: `
Runs MODEL once as a device would and prints the inference response: the verdict, its reasons and the outputs (spec/inference.md section 4).
INPUT is a picture (.png), an array of NumPy (.npy), or an inference request of the Open Inference Protocol (.json).

--guard     guard settings; without them the answer has no verdict
--fallback  the second model
${pixelValuesHelp}
            Left out: the value range of the guard settings
`,
  positionals: { min: 2, max: 2 },
  options: { ...pixelValuesOptions, guard: { type: 'string' }, fallback: { type: 'string' } },
  async run(args) {
    const [model = '', input = ''] = args.positionals;
    const guardFile = args.option('guard');
    const settings = guardFile === undefined ? undefined : await readGuardSettings(guardFile);
    const files = await guardFilesAt(model, args.option('fallback'));
    const order = { kind: 'try', files, settings, input, values: pixelValues(args) } as const;
    const { answer } = await runGuardTool(order, 'tried');
    return { exitCode: exitCodes.ok, value: answer, text: JSON.stringify(answer, null, 2) };
  },
};
