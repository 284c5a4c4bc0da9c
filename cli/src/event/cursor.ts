// `edgekeep event cursors|reset-cursor`: how far the consumers of the audit log are.
import { type EventCursor, eventCursor, eventCursorList } from '@edgekeep/wire/api/event';
import { type Command, exitCodes } from '../command.ts';
import { indexIn } from '../number-option.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { listText, timeText } from '../table.ts';

export const list: Command = {
  usage: 'event cursors',
  help: `
POSITION is the entry of the audit log that comes next, BEHIND the number of entries that are waiting and the age of the oldest. Exit code 1
while a consumer fails.
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const { cursors } = await (await openOperator(args)).get('/v1/event-cursors', eventCursorList);
    const head = ['CURSOR', 'POSITION', 'BEHIND', 'MOVED (UTC)', 'FAILURES', 'PROBLEM'];
    const failing = cursors.some(({ failures, used }) => used && failures > 0);
    return {
      exitCode: failing ? exitCodes.refused : exitCodes.ok,
      value: cursors,
      text: cursors.length === 0 ? 'no consumers' : listText([head, ...cursors.map(rowOf)]),
    };
  },
};

function rowOf(cursor: EventCursor): readonly string[] {
  return [
    cursor.name,
    String(cursor.position),
    cursor.lagEntries === 0 ? '0' : `${cursor.lagEntries} (${cursor.lagSeconds} s)`,
    timeText(cursor.movedAt),
    String(cursor.failures),
    cursor.used ? (cursor.problem ?? '') : 'no consumer of this hub has it',
  ];
}

export const reset: Command = {
  usage: 'event reset-cursor CURSOR [--to INDEX] --reason TEXT',
  help: `
The consumer gets the entry INDEX of the audit log next: an earlier one repeats what it handled before, a later one skips. Needs two people
where there are two.

--to        the entry that comes next; left out, what comes after the last one now
--reason    why; recorded in the audit log
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, to: { type: 'string' }, reason: { type: 'string' } },
  async run(args) {
    const [name = ''] = args.positionals;
    const body = { position: indexIn(args, 'to') ?? null, reason: args.required('reason') };
    const path = `/v1/event-cursors/${encodeURIComponent(name)}/reset`;
    const value = await (await openOperator(args)).send('POST', path, body, eventCursor);
    return { exitCode: exitCodes.ok, value, text: `${value.name} continues at entry ${value.position}` };
  },
};
