// `edgekeep group create|list|show|add|remove|delete`: named groups of devices.
import { groupDeleted, groupDetail, groupList, groupView, membersResponse } from '@edgekeep/wire/api/registry';
import { listDevices } from '../device/list.ts';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { listText, table } from '../table.ts';

const pathOf = (name: string) => `/v1/groups/${encodeURIComponent(name)}`;

export const create: Command = {
  usage: 'group create NAME [--filter RSQL] [--description TEXT]',
  help: `
--filter       members are the devices that it matches at the time of a request (default: members are named, \`group add\`)
--description  for people
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, filter: { type: 'string' }, description: { type: 'string' } },
  async run(args) {
    const [name = ''] = args.positionals;
    const body = { name, filter: args.option('filter'), description: args.option('description') };
    const value = await (await openOperator(args)).send('POST', '/v1/groups', body, groupView);
    const note = value.claims.length === 0 ? '' : `; ${claimsText(value.claims)}`;
    return { exitCode: exitCodes.ok, value, text: `group ${value.name} made${note}` };
  },
};

function claimsText(claims: readonly string[]): string {
  return `a claim group, by ${claims.join(', ')}: it decides about no keys`;
}

export const list: Command = {
  usage: 'group list',
  help: operatorHelp,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const { groups } = await (await openOperator(args)).get('/v1/groups', groupList);
    const rows = groups.map((group) => [
      group.name,
      group.filter ?? '(named members)',
      group.claims.length === 0 ? '' : 'claims',
      group.description,
    ]);
    const text = listText([['GROUP', 'MEMBERS', 'BY', 'DESCRIPTION'], ...rows]);
    return { exitCode: exitCodes.ok, value: groups, text };
  },
};

export const show: Command = {
  usage: 'group show NAME',
  help: `Members that are expected and have not enrolled yet are not shown.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [name = ''] = args.positionals;
    const operator = await openOperator(args);
    const group = await operator.get(pathOf(name), groupDetail);
    const devices = (await listDevices(operator, { filter: `group==${group.name}` })).map(({ id }) => id);
    const text = table([
      ['group', group.name],
      ['members', group.filter ?? 'named'],
      ...(group.claims.length === 0 ? [] : [['kind', claimsText(group.claims)]]),
      ['description', group.description],
      ...devices.map((id) => ['device', id]),
    ]);
    return { exitCode: exitCodes.ok, value: { ...group, devices }, text };
  },
};

function membersVerb(verb: 'add' | 'remove'): Command {
  return {
    usage: `group ${verb} NAME ID…`,
    help: `At most 1000 devices at once.\n\n${operatorHelp}`,
    positionals: { min: 2, max: 1_001 },
    options: operatorOption,
    async run(args) {
      const [name = '', ...ids] = args.positionals;
      const value = await (
        await openOperator(args)
      ).send('POST', `${pathOf(name)}/members`, { [verb]: ids }, membersResponse);
      return { exitCode: exitCodes.ok, value, text: `${value.added} added, ${value.removed} removed` };
    },
  };
}

export const add = membersVerb('add');
export const remove = membersVerb('remove');

export const drop: Command = {
  usage: 'group delete NAME',
  help: operatorHelp,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [name = ''] = args.positionals;
    const value = await (await openOperator(args)).send('DELETE', pathOf(name), undefined, groupDeleted);
    return { exitCode: exitCodes.ok, value, text: `group ${value.name} deleted` };
  },
};
