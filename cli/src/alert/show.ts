// `edgekeep alert show`: one alert with everything known about its cause.
import { alertView, type AlertView } from '@edgekeep/wire/api/alert';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';

export const command: Command = {
  usage: 'alert show ALERT',
  help: `ALERT is also its audit entry: \`audit prove ALERT\`. What each kind means: spec/alerts.md.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [id = ''] = args.positionals;
    const value = await (await openOperator(args)).get(`/v1/alerts/${encodeURIComponent(id)}`, alertView);
    return { exitCode: exitCodes.ok, value, text: textOf(value) };
  },
};

function textOf(a: AlertView): string {
  const settled = a.by === null || a.at === null ? [] : [[a.state, `by ${a.by} at ${timeText(a.at)}`]];
  return table([
    ['alert', String(a.id)],
    ['what', a.title],
    ['kind', a.kind],
    ['severity', a.severity],
    ['state', a.state],
    ...settled,
    ...(a.note === null ? [] : [['note', a.note]]),
    ['about', a.subject],
    ['first seen', timeText(a.firstSeen)],
    ['last seen', timeText(a.lastSeen)],
    ['count', String(a.count)],
    ...Object.entries(a.data).map(([name, member]) => [name, memberText(name, member)]),
  ]);
}

function memberText(name: string, member: unknown): string {
  if (Array.isArray(member)) return member.join(', ');
  // The names of times that the hub adds end with this: `lastBoundAt`.
  if (typeof member === 'number' && name.endsWith('At')) return timeText(member);
  return String(member);
}
