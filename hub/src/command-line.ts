// The hub as a process: `init` makes a data folder, `run` serves it until SIGINT or SIGTERM.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { HubError } from './error.ts';
import { initHub } from './init.ts';
import { parseHubSettings, readHubSettings } from './settings.ts';
import { startHub } from './start.ts';

const usage = `usage: edgekeep hub init --data DIR [--root-folder DIR] [--settings JSON]
       edgekeep hub run --data DIR
`;

/** Runs `init` or `run`; the result is the exit code. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  try {
    return await main(argv);
  } catch (error) {
    const code = error instanceof HubError ? `${error.code}: ` : '';
    process.stderr.write(`edgekeep hub: ${code}${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof HubError ? 3 : 5;
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const { positionals, values } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      data: { type: 'string' },
      'root-folder': { type: 'string' },
      settings: { type: 'string' },
      json: { type: 'boolean' },
    },
  });
  const folder = values.data;
  const [verb] = positionals;
  if (folder === undefined || positionals.length !== 1 || (verb !== 'init' && verb !== 'run')) {
    process.stderr.write(usage);
    return 2;
  }
  return verb === 'init' ? init(folder, values) : run(folder, values.json === true);
}

async function init(
  folder: string,
  values: { 'root-folder'?: string; settings?: string; json?: boolean },
): Promise<number> {
  const rootFolder = values['root-folder'] ?? join(folder, 'root');
  const settings = parseHubSettings(values.settings === undefined ? {} : parseSettings(values.settings), '--settings');
  const made = await initHub(folder, { rootFolder, settings, nowMs: Date.now() });
  if (values.json === true) process.stdout.write(`${JSON.stringify(made)}\n`);
  else {
    process.stdout.write(`hub made in ${made.folder}
  root key       ${made.rootKeyFile}  (take it offline: the hub runs without it)
  operator file  ${made.operatorFile}  (the command line reads it: export EDGEKEEP_OPERATOR=${made.operatorFile})
next: edgekeep hub run --data ${made.folder}
`);
  }
  return 0;
}

function parseSettings(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new HubError('settings-invalid', '--settings takes a JSON object (docs/settings.md)', { cause });
  }
}

async function run(folder: string, json: boolean): Promise<number> {
  const settings = await readHubSettings(folder);
  const hub = await startHub(folder, settings);
  const { deviceAddress: device, operatorAddress: operator } = hub;
  const text = `ready: devices on ${device.host}:${device.port}, operators on https://${operator.host}:${operator.port}`;
  process.stdout.write(`${json ? JSON.stringify({ ready: true, device, operator }) : text}\n`);
  const signal = await new Promise<string>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => resolve(name));
  });
  process.stderr.write(`edgekeep hub: ${signal}, stopping\n`);
  await hub[Symbol.asyncDispose]();
  return 0;
}
