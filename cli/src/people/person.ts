// `edgekeep person add|list|disable|enable`: the people who hold API tokens (spec/operator-access.md).
import { counted } from '@edgekeep/core/counted';
import { writeFile } from 'node:fs/promises';
import { personDisabled, personList, personRequest } from '@edgekeep/wire/api/people';
import { type Command, exitCodes } from '../command.ts';
import { hubAddress, openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';

export const add: Command = {
  usage: 'person add NAME [--address FILE]',
  help: `
A person can hold tokens. They make their own with \`edgekeep token prepare\`; you register it with \`edgekeep token create --person\`.

NAME        1 to 40 of a-z, 0-9, dot, dash and underscore
--address   write the hub's address and root certificate to this file, for the person; it contains no secret
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, address: { type: 'string' } },
  async run(args) {
    const [name = ''] = args.positionals;
    const file = args.option('address');
    if (file !== undefined) await writeFile(file, `${JSON.stringify(await hubAddress(args), null, 2)}\n`);
    const value = await (await openOperator(args)).send('POST', '/v1/people', { name }, personRequest);
    return { exitCode: exitCodes.ok, value, text: `${value.name} is added` };
  },
};

export const list: Command = {
  usage: 'person list',
  help: `The people with their number of valid tokens, and whether root operations wait for a second person.\n\n${operatorHelp}`,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const value = await (await openOperator(args)).get('/v1/people', personList);
    const rows = value.people.map(({ name, tokens, addedAt, disabledAt, disabledReason }) => [
      name,
      String(tokens),
      timeText(addedAt),
      disabledAt === null ? '' : `disabled ${timeText(disabledAt)}: ${disabledReason ?? ''}`,
    ]);
    const rule = value.twoPeople ? 'root operations wait for a second person' : 'root operations need one person';
    const text = `${table([['NAME', 'TOKENS', 'ADDED (UTC)', ''], ...rows])}\n${rule}`;
    return { exitCode: exitCodes.ok, value, text };
  },
};

export const disable: Command = {
  usage: 'person disable NAME --reason TEXT',
  help: `
All tokens of this person are refused from now on, and they get no other until \`person enable\`. Their open requests are void.
One person may do this alone: it only removes rights.

--reason    why; recorded in the audit log
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, reason: { type: 'string' } },
  async run(args) {
    const [name = ''] = args.positionals;
    const path = `/v1/people/${encodeURIComponent(name)}/disable`;
    const order = { reason: args.required('reason') };
    const value = await (await openOperator(args)).send('POST', path, order, personDisabled);
    return {
      exitCode: exitCodes.ok,
      value,
      text: `${value.name} is disabled; ${counted(value.tokensEnded, 'token')} ended`,
    };
  },
};

export const enable: Command = {
  usage: 'person enable NAME',
  help: `Ended tokens stay ended: the person prepares another.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [name = ''] = args.positionals;
    const path = `/v1/people/${encodeURIComponent(name)}/enable`;
    const value = await (await openOperator(args)).send('POST', path, {}, personRequest);
    return { exitCode: exitCodes.ok, value, text: `${value.name} may hold tokens again` };
  },
};
