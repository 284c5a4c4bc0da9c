// `edgekeep device retry-model`: an operator's order to a device to try a model again.
import { retryResponse } from '@edgekeep/wire/api/model';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';

export const command: Command = {
  usage: 'device retry-model ID MODEL',
  help: `A device that cannot use a release does not ask for its key again until another one is published. Once the cause is repaired, this
command makes it try once more; the device gets it at its next check-in.

${operatorHelp}`,
  positionals: { min: 2, max: 2 },
  options: operatorOption,
  async run(args) {
    const [id = '', model = ''] = args.positionals;
    const path = `/v1/devices/${encodeURIComponent(id)}/retry-model`;
    const value = await (await openOperator(args)).send('POST', path, { model }, retryResponse);
    return { exitCode: exitCodes.ok, value, text: `${value.deviceId} tries ${value.model} again at its next check-in` };
  },
};
