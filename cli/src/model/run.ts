// `edgekeep model run`: gives a program the plaintext of a model on inherited descriptors: anonymous, unlinked, memory-backed files,
// seekable and without a name. When the agent must lock the model, the program is stopped and the memory wiped.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { Agent, type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { toHex } from '@edgekeep/core/bytes';
import { parseValue } from '@edgekeep/core/json';
import { MemoryFile } from '@edgekeep/host/memory-file';
import { z } from 'zod';
import { type Command, exitCodes, type Outcome, UsageError } from '../command.ts';
import { Unreachable } from '../refusal.ts';
import { endingWithUs } from './end-with-us.ts';

const listSchema = z.object({
  name: z.string(),
  version: z.string(),
  files: z.array(z.object({ path: z.string(), role: z.string(), size: z.int(), sha256: z.string() })).min(1),
});
/** The refusals of the agent's local servers (spec/agent.md section 4). */
const errorSchema = z.object({ error: z.object({ code: z.string(), message: z.string() }) });
type Listed = z.infer<typeof listSchema>['files'][number];

const socketDefault = '/run/edgekeep/admin.sock';
// After the stop signal a program gets this long before it is killed: the plaintext must go.
const graceMilliseconds = 5_000;
const firstDescriptor = 3;

export const command: Command = {
  usage: 'model run NAME [--socket PATH] [--file PATH]… -- COMMAND [ARGUMENT]…',
  help: `
Asks the agent on this machine for the opened model NAME (its setting \`use\` is \`program\`) and starts COMMAND with each file of it on an inherited
descriptor: 3, 4 and so on, in the manifest's order. Each is an anonymous file in memory: seekable, without a name, never on disk.
In an argument, {} is replaced by /proc/self/fd/3 and {PATH} by the descriptor of that file; EDGEKEEP_MODEL_FILES has the list as JSON.
When the agent must lock the model (its lease ended, the device was quarantined), COMMAND is stopped and the memory wiped. Where util-linux is
installed, COMMAND also ends when this process is killed.
The exit code is COMMAND's; 1 when the agent stopped it or has no key of the model.

--socket    the agent's admin socket (default: ${socketDefault})
--file      only this file of the model; may be repeated
`,
  positionals: { min: 1, max: 1 },
  options: { socket: { type: 'string' }, file: { type: 'string', multiple: true } },
  bytesOnStdout: true,
  async run(args) {
    const [name = ''] = args.positionals;
    const [program, ...words] = args.rest;
    if (program === undefined) throw new UsageError('name the program to run after --');
    const agent = new LocalAgent(args.option('socket') ?? socketDefault);
    try {
      return await runModel(agent, name, args.all('file'), [program, ...words]);
    } catch (error) {
      if (!(error instanceof AgentRefusal)) throw error;
      const { code, message } = error;
      const value = { error: { code, message } };
      return { exitCode: exitCodes.refused, value, text: `edgekeep: ${code}: ${message}`, stdoutTaken: true };
    } finally {
      agent.destroy();
    }
  },
};

async function runModel(
  agent: LocalAgent,
  name: string,
  wanted: readonly string[],
  command: readonly string[],
): Promise<Outcome> {
  const listed = parseValue(
    await json(await agent.get(`/models/${encodeURIComponent(name)}`)),
    listSchema,
    'the agent’s answer',
  );
  const files = wanted.length === 0 ? listed.files : wanted.map((path) => findFile(listed.files, path));
  return runOn(agent, name, files, command);
}

function findFile(files: readonly Listed[], path: string): Listed {
  const found = files.find((file) => file.path === path);
  if (found === undefined)
    throw new UsageError(`the model has no file ${path}: it has ${files.map((file) => file.path).join(', ')}`);
  return found;
}

async function runOn(
  agent: LocalAgent,
  name: string,
  files: readonly Listed[],
  [program = '', ...words]: readonly string[],
): Promise<Outcome> {
  const memories: MemoryFile[] = [];
  try {
    for (const file of files) memories.push(await fetchInto(agent, name, file));
    const places = new Map(files.map(({ path }, at) => [`{${path}}`, `/proc/self/fd/${firstDescriptor + at}`]));
    places.set('{}', `/proc/self/fd/${firstDescriptor}`);
    const [first, ...rest] = endingWithUs([program, ...words.map((word) => places.get(word) ?? word)]);
    const child = spawn(first, rest, {
      stdio: ['inherit', 'inherit', 'inherit', ...memories.map(({ descriptor }) => descriptor)],
      env: {
        ...process.env,
        EDGEKEEP_MODEL_FILES: JSON.stringify(files.map(({ path }, at) => ({ path, descriptor: firstDescriptor + at }))),
      },
    });
    const ended = new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => resolve(code ?? exitCodes.refused));
    });
    const locked = agent.closed.then(() => 'locked' as const);
    const end = await Promise.race([ended, locked]);
    if (end !== 'locked') return { exitCode: end, value: undefined, text: '', stdoutTaken: true };
    child.kill('SIGTERM');
    await Promise.race([ended, delay(graceMilliseconds, undefined, { ref: false })]);
    child.kill('SIGKILL');
    await ended;
    return {
      exitCode: exitCodes.refused,
      value: { ended: 'locked' },
      text: 'edgekeep: the agent locked the model; the program was stopped',
      stdoutTaken: true,
    };
  } finally {
    for (const memory of memories) await memory[Symbol.asyncDispose]();
  }
}

async function fetchInto(agent: LocalAgent, name: string, { path, size, sha256 }: Listed): Promise<MemoryFile> {
  const response = await agent.get(
    `/models/${encodeURIComponent(name)}/files/${path.split('/').map(encodeURIComponent).join('/')}`,
  );
  const memory = await MemoryFile.create();
  try {
    const hash = createHash('sha256');
    let offset = 0;
    for await (const chunk of response) {
      if (!(chunk instanceof Uint8Array)) continue;
      hash.update(chunk);
      await memory.write(chunk, offset);
      offset += chunk.length;
      chunk.fill(0);
    }
    if (offset !== size || toHex(hash.digest()) !== sha256)
      throw new Unreachable(`${path} did not arrive completely: the agent locked the model, or ended`);
    return memory;
  } catch (error) {
    await memory[Symbol.asyncDispose]();
    throw error;
  }
}

/** A refusal of the agent. */
class AgentRefusal extends Error {
  override readonly name = 'AgentRefusal';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** One connection to the agent's admin socket; its end means that the model is locked. */
class LocalAgent {
  readonly #socketPath: string;
  readonly #connection = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #closed = Promise.withResolvers<void>();

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  async get(path: string): Promise<IncomingMessage> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request({ socketPath: this.#socketPath, path, agent: this.#connection }, resolve);
      outgoing.once('socket', (socket) => socket.once('close', () => this.#closed.resolve()));
      outgoing.once('error', (cause) =>
        reject(
          new Unreachable(`the agent's admin socket ${this.#socketPath}: ${cause.message}. Is the agent running?`, {
            cause,
          }),
        ),
      );
      // An answer that offers another protocol (status 101) is no response and no error to node:http: it only ends the connection.
      outgoing.once('close', () =>
        reject(new Unreachable(`the agent's admin socket ${this.#socketPath} ended the connection without an answer`)),
      );
      outgoing.end();
    });
    if (response.statusCode === 200) return response;
    // Text that is not JSON is refused below, like JSON of another form.
    const refusal = errorSchema.safeParse(await json(response).catch(() => undefined));
    if (!refusal.success) throw new Unreachable(`the agent answered ${response.statusCode} in an unknown form`);
    throw new AgentRefusal(refusal.data.error.code, refusal.data.error.message);
  }

  destroy(): void {
    this.#connection.destroy();
  }
}
