// `edgekeep device history`: the changes of a device, and why.
import { historyView } from '@edgekeep/wire/api/registry';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { listText, timeText } from '../table.ts';

export const command: Command = {
  usage: 'device history ID',
  help: `The newest 100 changes. ENTRY is the audit entry of the change: \`audit prove ENTRY\`.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [id = ''] = args.positionals;
    const path = `/v1/devices/${encodeURIComponent(id)}/history?limit=100`;
    const value = await (await openOperator(args)).get(path, historyView);
    const rows = value.changes.map((c) => [
      timeText(c.at),
      `${c.from} -> ${c.to}`,
      String(c.logIndex),
      c.actor,
      c.reason,
    ]);
    const text = listText([['AT (UTC)', 'CHANGE', 'ENTRY', 'BY', 'WHY'], ...rows]);
    return { exitCode: exitCodes.ok, value, text };
  },
};
