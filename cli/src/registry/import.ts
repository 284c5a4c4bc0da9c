// `edgekeep device import`: expected devices, from a file of JSON lines.
import { counted } from '@edgekeep/core/counted';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { importReport } from '@edgekeep/wire/api/registry';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';

export const command: Command = {
  usage: 'device import FILE',
  help: `
FILE has one JSON object per line (spec/registry.md, "Import"):
  {"id":"press-7","tags":{"line":"press"},"groups":["pilot"],"rootSha256":"…"}   a device; the TPM with that key enrolls without a token
  {"enrollmentGroup":"lot-17","idevidSha256":"…"}                                 a device of a manifest, under any id
  {"block":"…","reason":"stolen lot"}                                            a root of trust that must never enroll
Invalid lines are reported and left out; importing the same file again changes nothing. Exit code 1 when a line was left out.

${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [file = ''] = args.positionals;
    const operator = await openOperator(args);
    await stat(file);
    const value = await operator.sendLines('/v1/devices/import', () => createReadStream(file), importReport);
    const problems = value.problems.map(({ line, message }) => `line ${line}: ${message}`);
    const counts = `${counted(value.expected, 'device')} expected, ${value.listed} listed, ${counted(value.blocked, 'root', 'roots')} of trust blocked, ${counted(value.rejected, 'line')} left out`;
    return {
      exitCode: value.rejected === 0 ? exitCodes.ok : exitCodes.refused,
      value,
      text: [counts, ...problems].join('\n'),
    };
  },
};
