// `edgekeep model assign|unassign`: the groups of devices that a model is for.
import { assignedGroups } from '@edgekeep/wire/api/model';
import { type Arguments, type Command, exitCodes, type Outcome } from '../command.ts';
import { unmetLines } from './release-policy-text.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';

export const assign: Command = {
  usage: 'model assign MODEL GROUP…',
  help: `The default policy releases the key of a model only to devices in the groups that the model is for. A model can be assigned before it is
published. The group must have named members, or a filter over values that the hub decides (tier, site, tags…); a filter over values that devices
report (reported.PATH, seenAt, holds, fault) is refused. Where the publisher's release policy gives these devices no key, the answer says so.

${operatorHelp}`,
  positionals: { min: 2, max: 101 },
  options: operatorOption,
  run: async (args) => change(args, 'add'),
};

export const unassign: Command = {
  usage: 'model unassign MODEL GROUP…',
  help: `Their devices get no more keys of the model, unless by another group. Their present leases run out.\n\n${operatorHelp}`,
  positionals: { min: 2, max: 101 },
  options: operatorOption,
  run: async (args) => change(args, 'remove'),
};

async function change(args: Arguments, how: 'add' | 'remove'): Promise<Outcome> {
  const [model = '', ...groups] = args.positionals;
  const path = `/v1/models/${encodeURIComponent(model)}/groups`;
  const value = await (await openOperator(args)).send('POST', path, { [how]: groups }, assignedGroups);
  const text = value.groups.length === 0 ? 'no group' : value.groups.join(', ');
  return {
    exitCode: exitCodes.ok,
    value,
    text: [`${value.model} is for ${text}`, ...unmetLines(value.unmet)].join('\n'),
  };
}
