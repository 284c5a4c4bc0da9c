// `edgekeep alert list`: events that need an operator's attention.
import { type AlertView, alertList } from '@edgekeep/wire/api/alert';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { listText, timeText } from '../table.ts';

const SHOWN_MAX = 1_000;
const narrow = '--state, --kind and --device choose some';

export const command: Command = {
  usage: 'alert list [--state STATE] [--kind KIND] [--device ID]',
  help: `
The newest 1000 alerts.

--state     standing (open or acknowledged; the default), open, acknowledged, closed or any
--kind      only alerts of one kind, for example clone
--device    only alerts about one device
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, state: { type: 'string' }, kind: { type: 'string' }, device: { type: 'string' } },
  async run(args) {
    const chosen = new URLSearchParams({ limit: String(SHOWN_MAX) });
    for (const name of ['state', 'kind', 'device']) {
      const value = args.option(name);
      if (value !== undefined) chosen.set(name, value);
    }
    const { alerts, next } = await (await openOperator(args)).get(`/v1/alerts?${chosen.toString()}`, alertList);
    const older = next === null ? '' : `\nonly the newest ${SHOWN_MAX}: ${narrow}`;
    return { exitCode: exitCodes.ok, value: alerts, text: textOf(alerts) + older };
  },
};

function textOf(alerts: readonly AlertView[]): string {
  const head = ['ALERT', 'SEVERITY', 'STATE', 'KIND', 'ABOUT', 'COUNT', 'LAST SEEN (UTC)', 'WHAT'];
  const rows = alerts.map((a) => [
    String(a.id),
    a.severity,
    a.state,
    a.kind,
    a.subject,
    String(a.count),
    timeText(a.lastSeen),
    a.title,
  ]);
  return alerts.length === 0 ? 'no alerts' : listText([head, ...rows], narrow);
}
