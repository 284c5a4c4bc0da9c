// `edgekeep post-quantum show|simulate|set`: the groups whose devices get connections and keys with post-quantum protection only.
import { counted } from '@edgekeep/core/counted';
import { type PostQuantumEffect, postQuantumEffects, postQuantumView } from '@edgekeep/wire/api/post-quantum';
import type { z } from 'zod';
import { type Arguments, type Command, exitCodes, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';

export const show: Command = {
  usage: 'post-quantum show',
  help: operatorHelp,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const value = await (await openOperator(args)).get('/v1/post-quantum', postQuantumView);
    return { exitCode: exitCodes.ok, value, text: textOf(value) };
  },
};

export const simulate: Command = {
  usage: 'post-quantum simulate GROUP…',
  help: `Says which devices of these groups would get no key, because they have registered no hybrid key. Changes nothing.
${operatorHelp}`,
  positionals: { min: 1, max: 100 },
  options: operatorOption,
  async run(args) {
    const value = await effectsOf(args, args.positionals);
    return { exitCode: exitCodes.ok, value, text: linesOf(value.effects).join('\n') };
  },
};

export const set: Command = {
  usage: 'post-quantum set [GROUP…] [--none] [--exclude]',
  help: `Sets all groups of the rule. Devices that have no hybrid key now get no key from then on: they are counted first.

  --none      no group: removes the rule, but for the groups of the hub's settings
  --exclude   go on although devices are excluded
${operatorHelp}`,
  positionals: { min: 0, max: 100 },
  options: { ...operatorOption, none: { type: 'boolean' }, exclude: { type: 'boolean' } },
  async run(args) {
    const { positionals: groups } = args;
    if ((groups.length === 0) !== args.flag('none'))
      throw new UsageError('post-quantum set: name the groups, or none of them with --none');
    const { effects } = groups.length === 0 ? { effects: [] } : await effectsOf(args, groups);
    const excluded = effects.flatMap(({ tiers }) => tiers).reduce((sum, tier) => sum + tier.excluded, 0);
    if (excluded > 0 && !args.flag('exclude')) {
      const text = [
        ...linesOf(effects),
        `nothing was set: ${counted(excluded, 'device')} would get no key; update their agents, or repeat with --exclude`,
      ].join('\n');
      return { exitCode: exitCodes.refused, value: { effects }, text };
    }
    const value = await (await openOperator(args)).send('PUT', '/v1/post-quantum', { groups }, postQuantumView);
    return { exitCode: exitCodes.ok, value, text: textOf(value) };
  },
};

async function effectsOf(args: Arguments, groups: readonly string[]) {
  const operator = await openOperator(args);
  return operator.send('POST', '/v1/post-quantum/simulate', { groups }, postQuantumEffects);
}

function textOf({ version, settings, effects }: z.infer<typeof postQuantumView>): string {
  if (effects.length === 0) return 'no group requires post-quantum protection';
  const from = settings.length === 0 ? '' : `, with ${settings.join(', ')} of the settings`;
  return [`post-quantum rule ${version}${from}`, ...linesOf(effects)].join('\n');
}

function linesOf(effects: readonly PostQuantumEffect[]): readonly string[] {
  return effects.flatMap(({ group, exists, tiers }) => {
    if (!exists) return [`  ${group}  there is no such group: the rule asks nothing of anybody by it`];
    if (tiers.length === 0) return [`  ${group}  no devices`];
    return tiers.map(({ tier, devices, excluded }) => {
      const out = excluded === 0 ? 'all have a hybrid key' : `${excluded} without a hybrid key get no key`;
      return `  ${group}  ${tier}  ${counted(devices, 'device')}, ${out}`;
    });
  });
}
