// `edgekeep device attributes|set-desired`: the desired and the reported attributes of a device.
import { attributesSchema } from '@edgekeep/wire/api/attributes';
import { attributesView } from '@edgekeep/wire/api/registry';
import { exitCodes, type Command, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { readJson } from '../person-file.ts';

export const show: Command = {
  usage: 'device attributes ID',
  help: operatorHelp,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [id = ''] = args.positionals;
    const value = await (
      await openOperator(args)
    ).get(`/v1/devices/${encodeURIComponent(id)}/attributes`, attributesView);
    return { exitCode: exitCodes.ok, value, text: JSON.stringify(value, null, 2) };
  },
};

export const setDesired: Command = {
  usage: 'device set-desired ID FILE [--replaces VERSION]',
  help: `
FILE        a JSON object; it replaces all desired attributes
--replaces  refuse if the stored version is another one (default: replace any version)
${operatorHelp}
`,
  positionals: { min: 2, max: 2 },
  options: { ...operatorOption, replaces: { type: 'string' } },
  async run(args) {
    const [id = '', file = ''] = args.positionals;
    const replaces = args.option('replaces');
    if (replaces !== undefined && !/^\d{1,15}$/.test(replaces))
      throw new UsageError('--replaces takes a version number');
    const attributes = await readJson(file, attributesSchema);
    const body = { attributes, ...(replaces === undefined ? {} : { replaces: Number(replaces) }) };
    const path = `/v1/devices/${encodeURIComponent(id)}/desired`;
    const value = await (await openOperator(args)).send('PUT', path, body, attributesView);
    return { exitCode: exitCodes.ok, value, text: `desired attributes of ${id}: version ${value.desired.version}` };
  },
};
