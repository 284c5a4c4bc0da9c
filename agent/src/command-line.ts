// The agent as a process: one for this machine. Events go to standard output, one JSON object per line; SIGTERM and SIGINT lock every model
// and end it.
import { CoreError } from '@edgekeep/core/error';
import { messageOf } from '@edgekeep/core/message-of';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { HardwareError } from '@edgekeep/hardware/error';
import { HostError } from '@edgekeep/host/error';
import { isMachineFailure } from '@edgekeep/host/system-failure';
import { formerPlace, ownersWords, standardFolders } from '@edgekeep/host/standard-folders';
import { WireError } from '@edgekeep/wire/error';
import { AgentError } from './error.ts';
import { localFailureOf } from './local-failure.ts';
import { readAgentSettings } from './settings.ts';
import { startAgent } from './start-agent.ts';

/** As every verb of the command line has them (docs/cli.md). */
const exitCodes = { ok: 0, usage: 2, input: 3, internal: 5, machine: 6 } as const;
const usage = `usage: edgekeep agent run [--state DIR] [--settings FILE]

--state     the agent's folder, as \`edgekeep enroll kit\` made it (default: ${standardFolders.agent}, with sockets in ${standardFolders.run})
--settings  settings from another place than DIR/agent.json (docs/settings.md)
`;

/** Runs the agent until a signal stops it; returns the exit code. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  const asked = parseArguments(argv);
  if (asked === 'help') {
    process.stdout.write(usage);
    return exitCodes.ok;
  }
  if (asked === undefined) {
    process.stderr.write(usage);
    return exitCodes.usage;
  }
  try {
    await run(asked);
    return exitCodes.ok;
  } catch (error) {
    const local = localFailureOf(error);
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unexpected';
    const message = messageOf(error);
    process.stderr.write(`${JSON.stringify({ error: local ?? { code, message } })}\n`);
    return exitCodeOf(error);
  }
}

/** As of every verb (docs/errors.md): a code of ours, or of a file, is no fault of this program. */
function exitCodeOf(error: unknown): number {
  if (isMachineFailure(error)) return exitCodes.machine;
  const isKnown = [AgentError, HardwareError, HostError, CoreError, WireError].some((known) => error instanceof known);
  return isKnown || localFailureOf(error) !== undefined ? exitCodes.input : exitCodes.internal;
}

interface CommandLineOptions {
  /** Left out: the standard folder. */
  readonly state: string | undefined;
  readonly settings: string | undefined;
}

function parseArguments(argv: readonly string[]): CommandLineOptions | 'help' | undefined {
  try {
    const options = { state: { type: 'string' }, settings: { type: 'string' }, help: { type: 'boolean' } } as const;
    const { values } = parseArgs({ args: [...argv], options });
    if (values.help === true) return 'help';
    return { state: values.state === undefined ? undefined : resolve(values.state), settings: values.settings };
  } catch (error) {
    // Node's own codes for invalid options; the usage is shown for them.
    if (!(error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')))
      throw error;
    return undefined;
  }
}

async function run({ state, settings }: CommandLineOptions): Promise<void> {
  const folder = state ?? standardFolders.agent;
  const former = state === undefined && settings === undefined ? formerPlace('agent') : undefined;
  if (former !== undefined) throw new AgentError('settings-invalid', former);
  const words = ownersWords(folder, 'agent run');
  if (words !== undefined)
    throw new AgentError(
      'settings-invalid',
      `${folder} belongs to the user of the agent, who could not read root's files there: \`systemctl start edgekeep-agent\`, or \`${words} …\``,
    );
  const stopped = Promise.withResolvers<void>();
  process.once('SIGTERM', () => stopped.resolve()).once('SIGINT', () => stopped.resolve());
  // Standard folders go together; a folder that somebody names has its sockets inside, as before.
  const runFolder = state === undefined ? standardFolders.run : undefined;
  const onEvent = (event: object) => void process.stdout.write(`${JSON.stringify(event)}\n`);
  await using _ = await startAgent(await readAgentSettings(folder, settings, runFolder), { onEvent });
  await stopped.promise;
}
