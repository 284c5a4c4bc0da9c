// `edgekeep enroll token`: a one-time enrollment token for one device.
import { tiers } from '@edgekeep/core/attest/tier';
import { enrollmentTokenResponse } from '@edgekeep/wire/api/enrollment-token';
import { exitCodes, type Command } from '../command.ts';
import { secondsIn } from '../number-option.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { timeText } from '../table.ts';

export const command: Command = {
  usage: `enroll token [--device ID] [--tier ${tiers.join('|')}] [--hours N]`,
  help: `
Prints a token that enrolls one device once. The first line is the token: give the device a file with that line alone,
which its agent deletes after use. A kit (enroll kit) has one.
It ends with your API token at the latest, unless somebody takes it over (enroll token hand-over).

--device    only this device id may use it (default: any)
--tier      only this kind of root of trust may use it (default: any);
            a secure element needs a token made for its tier
--hours     how long it is valid (default: 24)
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, device: { type: 'string' }, tier: { type: 'string' }, hours: { type: 'string' } },
  async run(args) {
    const lifeSeconds = secondsIn(args, 'hours', 'hours') ?? 24 * 3_600;
    const body = { deviceId: args.option('device'), tier: args.option('tier'), lifeSeconds };
    const value = await (await openOperator(args)).send('POST', '/v1/enrollment-tokens', body, enrollmentTokenResponse);
    return {
      exitCode: exitCodes.ok,
      value,
      text: `${value.token}\nusable until ${timeText(value.expiresAt)} UTC, once`,
    };
  },
};
