// `edgekeep webhook dead-letters|retry|drop`: the messages that a webhook did not get.
import { counted } from '@edgekeep/core/counted';
import { deadLetterList, lettersDone } from '@edgekeep/wire/api/webhook';
import { type Arguments, type Command, exitCodes, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { pagesOf } from '../pages.ts';
import { listText, timeText } from '../table.ts';

export const list: Command = {
  usage: 'webhook dead-letters NAME',
  help: `EVENT is the entry of the audit log: \`audit list\`, \`audit prove EVENT\`.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [name = ''] = args.positionals;
    const value = await pagesOf(await openOperator(args), {
      path: `/v1/webhooks/${encodeURIComponent(name)}/dead-letters`,
      schema: deadLetterList,
      itemsOf: (page) => page.deadLetters,
    });
    const rows = value.map((each) => [
      String(each.index),
      timeText(each.createdAt),
      String(each.attempts),
      each.attemptedAt === null ? '' : timeText(each.attemptedAt),
      each.problem ?? '',
    ]);
    const head = ['EVENT', 'SINCE (UTC)', 'ATTEMPTS', 'LAST (UTC)', 'PROBLEM'];
    return { exitCode: exitCodes.ok, value, text: value.length === 0 ? 'no dead letters' : listText([head, ...rows]) };
  },
};

const LETTERS_MAX = 500;

function lettersIn(args: Arguments): 'all' | readonly number[] {
  const events = args.positionals.slice(1);
  if (args.flag('all') === events.length > 0) throw new UsageError('expected events, or --all');
  if (events.length > LETTERS_MAX) throw new UsageError(`at most ${LETTERS_MAX} events at once, or --all`);
  const wrong = events.find((text) => !/^(?:0|[1-9]\d{0,14})$/.test(text));
  if (wrong !== undefined) throw new UsageError(`${wrong} is not the number of an event`);
  return args.flag('all') ? 'all' : events.map(Number);
}

export const retry: Command = {
  usage: 'webhook retry NAME (EVENT… | --all)',
  help: `Their attempts begin anew.\n\n--all    all dead letters of the webhook\n${operatorHelp}`,
  positionals: { min: 1, max: 1 + LETTERS_MAX },
  options: { ...operatorOption, all: { type: 'boolean' } },
  async run(args) {
    return order(args, 'retry', { letters: lettersIn(args) }, 'sent again');
  },
};

export const drop: Command = {
  usage: 'webhook drop NAME (EVENT… | --all) --reason TEXT',
  help: `The audit log still has the events.\n\n--all      all dead letters of the webhook\n--reason   why; recorded in the audit log\n${operatorHelp}`,
  positionals: { min: 1, max: 1 + LETTERS_MAX },
  options: { ...operatorOption, all: { type: 'boolean' }, reason: { type: 'string' } },
  async run(args) {
    const body = { letters: lettersIn(args), reason: args.required('reason') };
    return order(args, 'drop', body, 'given up');
  },
};

async function order(args: Arguments, verb: 'retry' | 'drop', body: object, done: string) {
  const [name = ''] = args.positionals;
  const path = `/v1/webhooks/${encodeURIComponent(name)}/dead-letters/${verb}`;
  const value = await (await openOperator(args)).send('POST', path, body, lettersDone);
  return { exitCode: exitCodes.ok, value, text: `${name}: ${counted(value.letters, 'dead letter')} ${done}` };
}
