// The command that runs a Node program behind every wall this machine can give: a chain of standard tools that each replace
// themselves with the next, so that descriptors and the IPC channel go straight through. Follows spec/guard.md section 6.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { SandboxedProgram } from './program.ts';

/** In the order in which they are tried where not all of them work. */
export const sandboxParts = [
  'network-namespace',
  'ipc-namespace',
  'file-system',
  'no-new-privileges',
  'capabilities',
  'unprivileged-user',
  'parent-death-signal',
  'core-limit',
] as const;

export type SandboxPart = (typeof sandboxParts)[number];

/** What this machine gives. `degraded` names what it does not, for the status and the log. */
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

const toolFolders = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];
/** All that the guard gets: nothing of the agent's own environment, which may hold tokens. */
const environment = { PATH: toolFolders.join(':'), ORT_DISABLE_TELEMETRY: '1' } as const;
const rootScript = fileURLToPath(new URL('sandbox-root.sh', import.meta.url));
/** Loader and shared libraries, and what ONNX Runtime reads to know the processor. Nothing in them is secret. */
const systemPaths = ['/lib', '/lib64', '/usr/lib', '/usr/lib64', '/proc/cpuinfo', '/sys/devices/system/cpu'];

/** `rootFolder` is an empty folder to mount the program's file system on; used with the part `file-system` only. */
export function sandboxCommand(
  sandbox: Sandbox,
  program: SandboxedProgram,
  rootFolder: string,
  nodePermissions = true,
): SandboxCommand {
  const chain = [
    ...unshare(sandbox),
    ...ownRoot(sandbox, program, rootFolder),
    ...(sandbox.parts.has('core-limit') ? [tool('prlimit'), '--core=0'] : []),
    ...setpriv(sandbox),
    program.node,
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
  ];
  if (flags.length === 0) return [];
  return [tool('unshare'), ...(root ? [] : ['--user', '--map-root-user']), ...flags];
}

function ownRoot({ parts }: Sandbox, program: SandboxedProgram, rootFolder: string): readonly string[] {
  if (!parts.has('file-system')) return [];
  const paths = [...systemPaths, tool('prlimit'), tool('setpriv'), program.node, ...program.readable];
  return [tool('sh'), rootScript, rootFolder, ...paths.filter((path) => existsSync(path)), '--'];
}

function setpriv({ parts, root, userId }: Sandbox): readonly string[] {
  const privileged = root || ['network-namespace', 'ipc-namespace', 'file-system'].some((part) => has(parts, part));
  const flags = [
    ...(parts.has('no-new-privileges') ? ['--no-new-privs'] : []),
    // Who is neither root nor in a user namespace has no capabilities to give up.
    ...(parts.has('capabilities') ? ['--inh-caps=-all', ...(privileged ? ['--bounding-set=-all'] : [])] : []),
    ...(parts.has('unprivileged-user') ? ['--clear-groups', `--reuid=${userId}`, `--regid=${userId}`] : []),
    ...(parts.has('parent-death-signal') ? ['--pdeathsig=KILL'] : []),
  ];
  return flags.length === 0 ? [] : [tool('setpriv'), ...flags, '--'];
}

function has(parts: ReadonlySet<string>, part: string): boolean {
  return parts.has(part);
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
