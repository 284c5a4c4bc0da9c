// `edgekeep alert acknowledge|close`.
import { alertView } from '@edgekeep/wire/api/alert';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';

export const acknowledge: Command = {
  usage: 'alert acknowledge ALERT [--note TEXT]',
  help: `It stays until it is closed. A more severe one with the same cause opens it again.\n\n--note      what is being done; recorded in the audit log\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, note: { type: 'string' } },
  async run(args) {
    const note = args.option('note');
    return order(args, 'acknowledge', note === undefined ? {} : { note });
  },
};

export const close: Command = {
  usage: 'alert close ALERT --note TEXT',
  help: `The same event later opens a new alert.\n\n--note      what it was; recorded in the audit log\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, note: { type: 'string' } },
  async run(args) {
    return order(args, 'close', { note: args.required('note') });
  },
};

async function order(args: Parameters<Command['run']>[0], verb: 'acknowledge' | 'close', body: object) {
  const [id = ''] = args.positionals;
  const path = `/v1/alerts/${encodeURIComponent(id)}/${verb}`;
  const value = await (await openOperator(args)).send('POST', path, body, alertView);
  return { exitCode: exitCodes.ok, value, text: `alert ${value.id} is ${value.state}: ${value.title}` };
}
