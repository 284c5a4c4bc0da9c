// `edgekeep policy show|apply`: the Cedar text that decides who gets keys.
import { readFile } from 'node:fs/promises';
import { policyView } from '@edgekeep/wire/operator-api';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';

export const show: Command = {
  summary: 'show the release policy in force',
  usage: 'policy show',
  help: operatorHelp,
  positionals: { least: 0, most: 0 },
  options: operatorOption,
  async run(args) {
    const value = await (await openOperator(args)).get('/v1/policy', policyView);
    return {
      exitCode: exitCodes.ok,
      value,
      text: `// version ${value.version}, SHA-256 ${value.digest}\n${value.text}`,
    };
  },
};

export const apply: Command = {
  summary: 'validate and apply a release policy',
  usage: 'policy apply FILE',
  help: `FILE is Cedar text. It is validated strictly; a policy that constrains nothing is refused and the one in force stays.\n\n${operatorHelp}`,
  positionals: { least: 1, most: 1 },
  options: operatorOption,
  async run(args) {
    const [file = ''] = args.positionals;
    const text = await readFile(file, 'utf8');
    const value = await (await openOperator(args)).send('PUT', '/v1/policy', { text }, policyView);
    return {
      exitCode: exitCodes.ok,
      value,
      text: `policy version ${value.version} is in force (SHA-256 ${value.digest})`,
    };
  },
};
