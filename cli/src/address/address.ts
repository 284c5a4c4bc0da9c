// `edgekeep address block|unblock|list`: networks that are not allowed to connect to the hub.
import { blockedAddress, blockedAddressList, unblockedAddress } from '@edgekeep/wire/api/address';
import { exitCodes, type Command } from '../command.ts';
import { secondsIn } from '../number-option.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { pagesOf } from '../pages.ts';
import { listText, timeText } from '../table.ts';

export const block: Command = {
  usage: 'address block NETWORK --reason TEXT [--hours N]',
  help: `
Open connections from there are closed on both listeners of every hub node, and new ones are refused before their TLS handshake.
NETWORK is an address or a network: 203.0.113.9, 203.0.113.0/24, 2001:db8::/48. An IPv6 address means its /64.
Devices behind the same address are cut off as well.

--reason    why; recorded in the audit log
--hours     how long (default: 24)
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, reason: { type: 'string' }, hours: { type: 'string' } },
  async run(args) {
    const [network = ''] = args.positionals;
    const seconds = secondsIn(args, 'hours', 'hours') ?? 24 * 3_600;
    const body = { network, reason: args.required('reason'), seconds };
    const value = await (await openOperator(args)).send('POST', '/v1/blocked-addresses', body, blockedAddress);
    return {
      exitCode: exitCodes.ok,
      value,
      text: `${value.network} is blocked until ${timeText(value.expiresAt)} UTC`,
    };
  },
};

export const unblock: Command = {
  usage: 'address unblock NETWORK --reason TEXT',
  help: `--reason    why; recorded in the audit log\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, reason: { type: 'string' } },
  async run(args) {
    const [network = ''] = args.positionals;
    const body = { network, reason: args.required('reason') };
    const path = '/v1/blocked-addresses/unblock';
    const value = await (await openOperator(args)).send('POST', path, body, unblockedAddress);
    return { exitCode: exitCodes.ok, value, text: `${value.network} may connect again` };
  },
};

export const list: Command = {
  usage: 'address list',
  help: operatorHelp,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const operator = await openOperator(args);
    const value = await pagesOf(operator, {
      path: '/v1/blocked-addresses',
      schema: blockedAddressList,
      itemsOf: (page) => page.blocked,
    });
    const rows = value.map((each) => [each.network, timeText(each.expiresAt), each.blockedBy, each.reason]);
    const text = listText([['NETWORK', 'UNTIL (UTC)', 'BY', 'REASON'], ...rows]);
    return { exitCode: exitCodes.ok, value, text };
  },
};
