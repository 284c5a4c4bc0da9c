// `edgekeep certificate expiry`: upcoming ends of certificates, with a warning ahead of time.
import { counted } from '@edgekeep/core/counted';
import { expiry, type ExpiryItem } from '@edgekeep/wire/api/revocation';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';

export const command: Command = {
  usage: 'certificate expiry',
  help: `
Root, issuing CA, the hub's own certificates, the devices whose certificate ends first, and API tokens. Exit code 1 when one of the hub's is near its end
or has ended: for a daily check.

${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const page = await (await openOperator(args)).get('/v1/expiry', expiry);
    const row = (kind: string) => (item: ExpiryItem) => [
      kind,
      item.name,
      timeText(item.notAfter),
      item.ended ? 'ended' : item.warning ? 'soon' : '',
    ];
    const rows = [...page.hub.map(row('hub')), ...page.devices.map(row('device')), ...page.tokens.map(row('token'))];
    const counts = `${counted(page.devicesWarned, 'device')} with a certificate that ends soon and was not renewed; ${page.devicesEnded} with one that has ended`;
    const text = `${table([['', 'NAME', 'ENDS (UTC)', ''], ...rows])}\n${counts}`;
    const alarm = page.hub.some(({ warning }) => warning);
    return { exitCode: alarm ? exitCodes.refused : exitCodes.ok, value: page, text };
  },
};
