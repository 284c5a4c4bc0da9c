// `edgekeep policy simulate`: who would gain and who would lose access under a draft, before it is applied.
import { counted } from '@edgekeep/core/counted';
import { type AccessChange, type Simulation, simulation } from '@edgekeep/wire/api/policy';
import { exitCodes, type Command, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { refusalLine } from '../model/release-policy-text.ts';
import { claimLines } from './claims.ts';
import { readCountries } from './countries.ts';
import { readPolicyFiles } from './files.ts';

export const command: Command = {
  usage:
    'policy simulate [FILE…] [--countries FILE] [--add GROUP=ID]… [--remove GROUP=ID]… [--last N] [--names N] [--no-fleet]',
  help: `
Asks the policy in force and the draft the newest recorded decisions again, and then about every device and token now. Changes nothing. Without a FILE the policy in force is asked, with the changed facts of --countries, --add and --remove.

--countries  a new table of networks and countries (as for policy countries)
--add       a device to add to a group, GROUP=ID; may be repeated
--remove    a device to remove from a group, GROUP=ID; may be repeated
--last      recorded decisions to replay, at most 100000 (default: 10000)
--names     devices and tokens to name in each line, at most 100 (default: 10)
--no-fleet  the recorded decisions only
${operatorHelp}
`,
  positionals: { min: 0, max: 64 },
  options: {
    ...operatorOption,
    countries: { type: 'string' },
    add: { type: 'string', multiple: true },
    remove: { type: 'string', multiple: true },
    last: { type: 'string' },
    names: { type: 'string' },
    'no-fleet': { type: 'boolean' },
  },
  async run(args) {
    const countries = args.option('countries');
    const groups = groupsOf(args.all('add'), args.all('remove'));
    if (args.positionals.length === 0 && countries === undefined && Object.keys(groups).length === 0)
      throw new UsageError('give a FILE, or other facts');
    const body = {
      ...(args.positionals.length === 0 ? {} : { text: (await readPolicyFiles(args.positionals)).text }),
      ...(countries === undefined ? {} : { countries: await readCountries(countries) }),
      groups,
      last: countOf(args.option('last'), 'last'),
      names: countOf(args.option('names'), 'names'),
      fleet: !args.flag('no-fleet'),
    };
    const value = await (await openOperator(args)).send('POST', '/v1/policy/simulate', body, simulation);
    return {
      exitCode: value.errors.count === 0 ? exitCodes.ok : exitCodes.refused,
      value,
      text: simulationText(value),
    };
  },
};

function groupsOf(
  add: readonly string[],
  remove: readonly string[],
): Record<string, { add: string[]; remove: string[] }> {
  const groups: Record<string, { add: string[]; remove: string[] }> = {};
  for (const [verb, words] of [['add', add] as const, ['remove', remove] as const]) {
    for (const word of words) {
      const [name = '', id = ''] = word.split('=');
      if (name === '' || id === '') throw new UsageError(`--${verb} takes GROUP=ID`);
      const group = (groups[name] ??= { add: [], remove: [] });
      group[verb].push(id);
    }
  }
  return groups;
}

function simulationText(simulated: Simulation): string {
  const { policyVersion, replayed, fleet, errors, claims, publishers, postQuantum } = simulated;
  const unknown =
    fleet.withoutAddress === 0
      ? ''
      : `; ${counted(fleet.withoutAddress, 'device')} left out, because their address is not known`;
  return [
    `${counted(replayed.asked, 'recorded decision')}, asked again of policy ${policyVersion} and of the draft:`,
    ...linesOf(replayed.changes),
    `devices and tokens as of now: ${fleet.principals}, ${counted(fleet.asked, 'question')}${unknown}:`,
    ...linesOf(fleet.changes),
    ...claimLines(claims),
    ...publishers
      .filter(({ refused }) => refused > 0)
      .map((each) => refusalLine(`publisher of ${each.model} ${each.version}`, each)),
    ...postQuantum.map(postQuantumLine),
    ...(errors.count === 0
      ? []
      : [`${counted(errors.count, 'question')} the draft cannot answer; the first: ${errors.first}`]),
  ].join('\n');
}

function postQuantumLine({ group, exists, devices, ...refused }: Simulation['postQuantum'][number]): string {
  if (!exists) return `post-quantum rule: there is no group ${group}: it asks nothing of anybody`;
  const { withoutHybridKey, classicalConnection, names } = refused;
  const found = [
    ...(withoutHybridKey === 0 ? [] : [`no key for ${withoutHybridKey} without a hybrid key`]),
    ...(classicalConnection === 0 ? [] : [`no connection for ${classicalConnection} with a classical key exchange`]),
  ];
  const shown = names.length === 0 ? '' : `: ${names.join(', ')}`;
  return `post-quantum rule: group ${group}, ${counted(devices, 'device')}: ${found.length === 0 ? 'refuses nothing' : found.join(', ')}${shown}`;
}

function linesOf(changes: readonly AccessChange[]): readonly string[] {
  if (changes.length === 0) return ['  no access is gained or lost'];
  return changes.map(({ change, action, by, count, names }) => {
    const shown = names.length === 0 ? '' : `: ${names.join(', ')}${names.length < count ? ', …' : ''}`;
    return `  ${change} ${action}, by ${by.join(', ') || 'no statement'}, ${counted(count, 'time')}${shown}`;
  });
}

function countOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,6}$/.test(text)) throw new UsageError(`--${name} takes a whole number`);
  return Number(text);
}
