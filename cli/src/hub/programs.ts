// `edgekeep hub init|run` and `edgekeep agent run`: start the other programs of this house.
import { type Arguments, type Command, UsageError } from '../command.ts';
import { runProgram } from '../program.ts';

export const hubInit: Command = {
  summary: 'make a new hub',
  usage: 'hub init --data DIR [--root-folder DIR] [--settings JSON]',
  help: `
Makes keys, settings, store and the first API token in DIR, which must not hold a hub yet.

--data         the hub's data folder
--root-folder  where the root key goes, for example a removable disk (default: DIR/root); the hub runs without it
--settings     a JSON object of settings that differ from the defaults (docs/settings.md); kept in DIR/hub.json
`,
  positionals: { least: 0, most: 0 },
  options: { data: { type: 'string' }, 'root-folder': { type: 'string' }, settings: { type: 'string' } },
  run: async (args) =>
    runProgram('@edgekeep/hub/main', ['init', ...given(args, ['data', 'root-folder', 'settings']), ...json(args)]),
};

export const hubRun: Command = {
  summary: 'run a hub in the foreground',
  usage: 'hub run --data DIR',
  help: `Serves until SIGINT or SIGTERM. Listens on loopback unless DIR/hub.json says otherwise.\n\n--data      the hub's data folder (\`edgekeep hub init\`)`,
  positionals: { least: 0, most: 0 },
  options: { data: { type: 'string' } },
  run: async (args) => runProgram('@edgekeep/hub/main', ['run', ...given(args, ['data']), ...json(args)]),
};

// A device has little memory and the agent little garbage: a small young generation saves some 9 MB of resident memory.
const agentNodeOptions = ['--max-semi-space-size=1'];

export const agentRun: Command = {
  summary: 'run the device agent in the foreground',
  usage: 'agent run --state DIR',
  help: `Reads DIR/agent.json (docs/settings.md), enrols if it must, attests, and serves models until SIGINT or SIGTERM.\n\n--state     the agent's state folder`,
  positionals: { least: 0, most: 0 },
  options: { state: { type: 'string' } },
  run: async (args) => runProgram('@edgekeep/agent/main', given(args, ['state']), agentNodeOptions),
};

function given(args: Arguments, names: readonly string[]): readonly string[] {
  const [required = ''] = names;
  if (args.option(required) === undefined) throw new UsageError(`--${required} is required`);
  return names.flatMap((name) => {
    const value = args.option(name);
    return value === undefined ? [] : [`--${name}`, value];
  });
}

const json = (args: Arguments) => (args.flag('json') ? ['--json'] : []);
