// An order about one thing by its id, with a reason for the audit log: `edgekeep authority abandon`, `revoke`, `abandon-key`.
import type { Arguments, Command, Outcome } from '../command.ts';
import { openOperator, type Operator, operatorHelp, operatorOption } from '../operator.ts';

/** `carryOut` gets the id as it was typed, and the body that every route of this kind takes. */
export function notedOrder(
  verb: string,
  help: string,
  carryOut: (operator: Operator, id: string, body: { readonly note: string }) => Promise<Outcome>,
): Command {
  return {
    usage: `${verb} ID --note TEXT`,
    help: `
${help}

--note  why; recorded in the audit log

${operatorHelp}
`,
    positionals: { min: 1, max: 1 },
    options: { ...operatorOption, note: { type: 'string' } },
    async run(args: Arguments) {
      const [id = ''] = args.positionals;
      const body = { note: args.required('note') };
      return carryOut(await openOperator(args), id, body);
    },
  };
}
