// The command that runs a Node program behind every wall that this machine provides: a chain of standard tools, each of which replaces
// itself with the next, so that descriptors pass through. Only `unshare` stays, as the parent of the process namespace. Follows
// spec/guard.md section 6.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { SandboxedProgram } from './program.ts';

/** In the order in which they are tried where not all of them work. */
export const sandboxParts = [
  'network-namespace',
  'ipc-namespace',
  'process-namespace',
  'file-system',
  'no-new-privileges',
  'capabilities',
  'own-user',
  'parent-death-signal',
  'core-limit',
  'memory-limit',
  'system-calls',
  'landlock',
] as const;

/** The walls that the native helper provides, where it was built. */
export const helperParts = ['system-calls', 'landlock'] as const;

export type SandboxPart = (typeof sandboxParts)[number];

/** What this machine provides. `degraded` names what it does not, for the status, the hub and the log. */
export interface Sandbox {
  readonly parts: ReadonlySet<SandboxPart>;
  readonly degraded: readonly SandboxPart[];
  /** Whether the agent is root; otherwise the walls need a user namespace. */
  readonly root: boolean;
  /** User and group id of the program when the agent is root. */
  readonly userId: number;
}

export interface SandboxCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export interface SandboxOptions {
  /** How many bytes the program may allocate; used with the part `memory-limit` only. */
  readonly maxMemoryBytes?: number;
  readonly nodePermissions?: boolean;
}

/** Node and ONNX Runtime without a model reserve 640 MiB, of which they touch 130; the rest is for requests and what the model computes. */
export const defaultMaxMemoryBytes = 1024 * 1024 * 1024;

const toolFolders = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];
/** The guard's whole environment: nothing of the agent's own, which may hold tokens. */
const environment = { PATH: toolFolders.join(':'), ORT_DISABLE_TELEMETRY: '1' } as const;
const rootScript = fileURLToPath(new URL('sandbox-root.sh', import.meta.url));
/** Loader, shared libraries, and the files from which ONNX Runtime identifies the processor. None of them is secret. */
const systemPaths = ['/lib', '/lib64', '/usr/lib', '/usr/lib64', '/proc/cpuinfo', '/sys/devices/system/cpu'];
/** Folders that exist on every Linux system; the program's own file system covers one of them. */
const coverable = ['/mnt', '/media', '/srv', '/home', '/dev/shm', '/tmp'];
const namespaceParts = ['network-namespace', 'ipc-namespace', 'process-namespace', 'file-system'] as const;

export function sandboxCommand(
  sandbox: Sandbox,
  program: SandboxedProgram,
  { maxMemoryBytes = defaultMaxMemoryBytes, nodePermissions = true }: SandboxOptions = {},
): SandboxCommand {
  const chain = [
    ...unshare(sandbox),
    ...ownRoot(sandbox, program),
    ...limits(sandbox, maxMemoryBytes),
    ...setpriv(sandbox),
    ...filtered(sandbox, program),
    program.node,
    // From the first instruction on: any process of the same user id could open the debugger.
    '--disable-sigusr1',
    ...(nodePermissions ? permissions(program) : []),
    program.main,
  ];
  const [command = program.node, ...args] = chain;
  return { command, args, environment };
}

function unshare({ parts, root }: Sandbox): readonly string[] {
  const flags = [
    ...(parts.has('network-namespace') ? ['--net'] : []),
    ...(parts.has('ipc-namespace') ? ['--ipc'] : []),
    ...(parts.has('file-system') ? ['--mount', '--propagation=private'] : []),
    // `unshare` waits outside the namespace; when it ends, everything inside ends.
    ...(parts.has('process-namespace') ? ['--pid', '--fork', '--kill-child=KILL'] : []),
  ];
  if (flags.length === 0) return [];
  const isLeft = parts.has('process-namespace') && parts.has('parent-death-signal');
  return [
    ...(isLeft ? [tool('setpriv'), '--pdeathsig=KILL', '--'] : []),
    tool('unshare'),
    ...(root ? [] : ['--user', '--map-root-user']),
    ...flags,
  ];
}

function ownRoot({ parts }: Sandbox, program: SandboxedProgram): readonly string[] {
  if (!parts.has('file-system')) return [];
  const tools = ['prlimit', 'setpriv'].map(tool);
  const helper = program.helper !== undefined && helperParts.some((part) => parts.has(part)) ? [program.helper] : [];
  const paths = [...systemPaths, ...tools, program.node, ...helper, ...program.readable];
  const there = paths.filter((path) => existsSync(path));
  const root = coverable.find((folder) => existsSync(folder) && !there.some((path) => path.startsWith(`${folder}/`)));
  return [tool('sh'), rootScript, root ?? '/mnt', ...there, '--'];
}

function limits({ parts }: Sandbox, maxMemoryBytes: number): readonly string[] {
  const flags = [
    // At one byte the kernel also starts no program that collects core files.
    ...(parts.has('core-limit') ? ['--core=1'] : []),
    ...(parts.has('memory-limit') ? [`--data=${maxMemoryBytes}`] : []),
  ];
  return flags.length === 0 ? [] : [tool('prlimit'), ...flags];
}

function setpriv({ parts, root, userId }: Sandbox): readonly string[] {
  const privileged = root || namespaceParts.some((part) => parts.has(part));
  const flags = [
    ...(parts.has('no-new-privileges') ? ['--no-new-privs'] : []),
    // A user that is neither root nor in a user namespace has no capabilities to give up.
    ...(parts.has('capabilities') ? ['--inh-caps=-all', ...(privileged ? ['--bounding-set=-all'] : [])] : []),
    ...(parts.has('own-user') ? ['--clear-groups', `--reuid=${userId}`, `--regid=${userId}`] : []),
    ...(parts.has('parent-death-signal') ? ['--pdeathsig=KILL'] : []),
  ];
  return flags.length === 0 ? [] : [tool('setpriv'), ...flags, '--'];
}

function filtered({ parts }: Sandbox, { helper }: SandboxedProgram): readonly string[] {
  const flags = helperParts.filter((part) => parts.has(part)).map((part) => `--${part}`);
  return helper === undefined || flags.length === 0 ? [] : [helper, ...flags, '--'];
}

function permissions(program: SandboxedProgram): readonly string[] {
  return [
    '--permission',
    // ONNX Runtime is an addon; Node warns about allowing any.
    '--allow-addons',
    '--disable-warning=SecurityWarning',
    '--disallow-code-generation-from-strings',
    ...program.readable.map((path) => `--allow-fs-read=${path}`),
  ];
}

/** A missing tool keeps its plain name: the attempt to run it fails, and its parts are reported as degraded. */
function tool(name: string): string {
  return toolFolders.map((folder) => `${folder}/${name}`).find((path) => existsSync(path)) ?? name;
}
