// `edgekeep expected-device list|remove`: devices that an import has announced.
import { expectedDeviceList, expectedDeviceRemoved } from '@edgekeep/wire/api/admission';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { pagesOf } from '../pages.ts';
import { listText, timeText } from '../table.ts';

export const list: Command = {
  usage: 'expected-device list [--all]',
  help: `
--all       also those that have enrolled (default: only those that have not)
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, all: { type: 'boolean' } },
  async run(args) {
    const operator = await openOperator(args);
    const state = args.flag('all') ? 'any' : 'waiting';
    const value = await pagesOf(operator, {
      path: '/v1/expected-devices',
      query: { state },
      schema: expectedDeviceList,
      itemsOf: (page) => page.expected,
    });
    const rows = value.map((each) => [
      each.id,
      each.enrolled ? 'enrolled' : 'waiting',
      each.rootSha256 ?? 'any',
      each.site ?? '-',
      timeText(each.importedAt),
    ]);
    const text = listText([['DEVICE', 'STATE', 'ROOT OF TRUST', 'SITE', 'IMPORTED (UTC)'], ...rows]);
    return { exitCode: exitCodes.ok, value, text };
  },
};

export const remove: Command = {
  usage: 'expected-device remove ID',
  help: `Its id and its root of trust are free again. A device that has enrolled is unchanged.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [id = ''] = args.positionals;
    const path = `/v1/expected-devices/${encodeURIComponent(id)}`;
    const value = await (await openOperator(args)).send('DELETE', path, undefined, expectedDeviceRemoved);
    return { exitCode: exitCodes.ok, value, text: `${value.id} is not expected any more` };
  },
};
