// The agent as a process: one for this machine. Events go to standard output: in sentences at a terminal, else one JSON object per line;
// SIGTERM and SIGINT lock every model and end it.
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
import type { TimedEvent } from './event.ts';
import { eventText, takesColor } from './event-text.ts';
import { localFailureOf } from './local-failure.ts';
import { readAgentSettings } from './settings.ts';
import { startAgent } from './start-agent.ts';

/** As every verb of the command line has them (docs/cli.md). */
const exitCodes = { ok: 0, usage: 2, input: 3, internal: 5, machine: 6 } as const;
const usage = `usage: edgekeep agent run [--state DIR] [--settings FILE] [--json]

--state     the agent's folder, as \`edgekeep enroll kit\` made it (default: ${standardFolders.agent}, with sockets in ${standardFolders.run})
--settings  settings from another place than DIR/agent.json (docs/settings.md)
--json      write events as JSON lines at a terminal too, where they are sentences otherwise (spec/agent.md, "Events")
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
    const shown = local ?? { code, message };
    const text = asked.json ? JSON.stringify({ error: shown }) : `edgekeep agent: ${shown.code}: ${shown.message}`;
    process.stderr.write(`${text}\n`);
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
  /** Events and errors are for programs. */
  readonly json: boolean;
}

function parseArguments(argv: readonly string[]): CommandLineOptions | 'help' | undefined {
  try {
    const options = {
      state: { type: 'string' },
      settings: { type: 'string' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    } as const;
    const { values } = parseArgs({ args: [...argv], options });
    if (values.help === true) return 'help';
    const state = values.state === undefined ? undefined : resolve(values.state);
    return { state, settings: values.settings, json: values.json === true || !process.stdout.isTTY };
  } catch (error) {
    // Node's own codes for invalid options; the usage is shown for them.
    if (!(error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')))
      throw error;
    return undefined;
  }
}

async function run({ state, settings, json }: CommandLineOptions): Promise<void> {
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
  const agentSettings = await readAgentSettings(folder, settings, runFolder);
  if (!json) process.stdout.write('times are UTC; Ctrl-C stops the agent, --json writes events as JSON lines\n');
  await using _ = await startAgent(agentSettings, { onEvent: json ? writeJsonLine : writeSentence });
  await stopped.promise;
}

function writeJsonLine(event: TimedEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** As bytes, because of the color codes: texts of ours are printable, and what comes from outside is in the sentences already. */
function writeSentence(event: TimedEvent): void {
  process.stdout.write(Buffer.from(`${eventText(event, takesColor(process.stdout))}\n`));
}
