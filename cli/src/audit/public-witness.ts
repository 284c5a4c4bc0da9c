// `edgekeep public-witness list`: the public witnesses that the hub asks for cosignatures, and how each of them answers.
import { publicWitnessList, type PublicWitnessView } from '@edgekeep/wire/api/audit';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';

export const list: Command = {
  usage: 'public-witness list',
  help: operatorHelp,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const value = await (await openOperator(args)).get('/v1/public-witnesses', publicWitnessList);
    const text =
      value.witnesses.length === 0
        ? 'this hub asks no public witness (`witness.public` of its settings)'
        : table([['WITNESS', 'COSIGNED', 'AT', 'FAILURES', 'NEXT TRY', 'PROBLEM'], ...value.witnesses.map(rowOf)]);
    return { exitCode: exitCodes.ok, value, text };
  },
};

function rowOf({ name, cosignedSize, cosignedAt, failures, nextAt, problem }: PublicWitnessView): readonly string[] {
  const cosigned = cosignedAt === null ? ['-', 'never'] : [String(cosignedSize), timeText(cosignedAt)];
  return [name, ...cosigned, String(failures), nextAt === null ? 'next checkpoint' : timeText(nextAt), problem ?? '-'];
}
