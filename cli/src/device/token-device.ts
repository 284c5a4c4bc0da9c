// `edgekeep token-device add|roll`: devices that sign HMAC tokens because they cannot hold a certificate (spec/device-token.md).
import { tokenDeviceResponse, tokenRollResponse } from '@edgekeep/wire/api/token-device';
import { exitCodes, type Command } from '../command.ts';
import { secondsIn } from '../number-option.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { timeText } from '../table.ts';

export const add: Command = {
  usage: 'token-device add ID',
  help: `Prints the device's secret once. Such a device has the lowest tier: it reports, but gets no key.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [id = ''] = args.positionals;
    const value = await (await openOperator(args)).send('POST', '/v1/token-devices', { id }, tokenDeviceResponse);
    return { exitCode: exitCodes.ok, value, text: value.secret };
  },
};

export const roll: Command = {
  usage: 'token-device roll ID [--overlap-hours N]',
  help: `Prints the new secret once.\n\n--overlap-hours  how long the older one stays valid (default: 24)\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, 'overlap-hours': { type: 'string' } },
  async run(args) {
    const [id = ''] = args.positionals;
    const overlapSeconds = secondsIn(args, 'overlap-hours', 'hours', { mayBeZero: true }) ?? 24 * 3_600;
    const path = `/v1/token-devices/${encodeURIComponent(id)}/roll`;
    const value = await (await openOperator(args)).send('POST', path, { overlapSeconds }, tokenRollResponse);
    return {
      exitCode: exitCodes.ok,
      value,
      text: `${value.secret}\nthe older secret ends ${timeText(value.olderValidUntil)} UTC`,
    };
  },
};
