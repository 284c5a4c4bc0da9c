// `edgekeep device disable|enable`: an operator's switch, separate from the device's state.
import { counted } from '@edgekeep/core/counted';
import { enabledResponse } from '@edgekeep/wire/api/registry';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';

export const disable: Command = {
  usage: 'device disable ID --reason TEXT',
  help: `The device is cut off and refused, and loses its keys, until \`device enable\`; it keeps its state.

--reason    why; the device gets it, and it is recorded in the audit log
${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, reason: { type: 'string' } },
  async run(args) {
    const [id = ''] = args.positionals;
    const body = { reason: args.required('reason') };
    const path = `/v1/devices/${encodeURIComponent(id)}/disable`;
    const value = await (await openOperator(args)).send('POST', path, body, enabledResponse);
    const text = `${value.deviceId} is disabled (${value.state}); ${counted(value.connectionsClosed, 'live connection')} closed`;
    return { exitCode: exitCodes.ok, value, text };
  },
};

export const enable: Command = {
  usage: 'device enable ID',
  help: `The device may connect again, in its old state; it must attest before it gets a key.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [id = ''] = args.positionals;
    const path = `/v1/devices/${encodeURIComponent(id)}/enable`;
    const value = await (await openOperator(args)).send('POST', path, {}, enabledResponse);
    return { exitCode: exitCodes.ok, value, text: `${value.deviceId} is enabled: ${value.state}` };
  },
};
