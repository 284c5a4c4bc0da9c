// What the operating system offers for keeping keys in memory: clock, randomness, memory that does not reach a disk, separation of
// processes.
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { coreFileRisk } from '@edgekeep/host/core-files';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { HostError } from '@edgekeep/host/error';
import { MemoryFile } from '@edgekeep/host/memory-file';
import { findTool } from '@edgekeep/hardware/tpm/simulator-manufacture';
import { type Finding, missing, ok, warning } from '@edgekeep/host/finding';

const run = promisify(execFile);

/** No release of this product is older: an earlier clock has lost its time. */
const earliestMilliseconds = Date.UTC(2026, 0, 1);
const latestMilliseconds = Date.UTC(2100, 0, 1);
/** A seeded Linux random number generator reports 256 (since 5.18) or more. */
const ENTROPY_BITS_MIN = 256;
const NODE_MAJOR_MIN = 24;

export function examineNode(): Finding {
  const major = Number(process.versions.node.split('.')[0]);
  if (major >= NODE_MAJOR_MIN) return ok('Node.js', process.version);
  return missing('Node.js', process.version, `run with Node ${NODE_MAJOR_MIN}: npm ci --ignore-scripts brings it`);
}

export async function examineClock(nowMilliseconds: number): Promise<Finding> {
  const now = new Date(nowMilliseconds).toISOString();
  if (nowMilliseconds < earliestMilliseconds || nowMilliseconds > latestMilliseconds) {
    return warning('clock', `it shows ${now}`, 'set it: certificates, leases and updates depend on the time');
  }
  const synchronised = await orIfMissing(stat('/run/systemd/timesync/synchronized'), undefined);
  if (synchronised !== undefined) return ok('clock', `${now}, synchronized`);
  return warning(
    'clock',
    `${now}, not known to be synchronized`,
    'run systemd-timesyncd, chrony or another NTP client',
  );
}

export async function examineEntropy(): Promise<Finding> {
  const bits = Number(await readText('/proc/sys/kernel/random/entropy_avail'));
  if (bits >= ENTROPY_BITS_MIN) return ok('entropy', `${bits} bits`);
  return warning('entropy', `${bits} bits`, 'wait until the kernel is seeded, or give it a hardware generator');
}

export async function examineMemory(): Promise<readonly Finding[]> {
  return [await examineMemoryFile(), await examineSwap(), await examineCoreDumps(), await examineTracing()];
}

async function examineMemoryFile(): Promise<Finding> {
  try {
    await using file = await MemoryFile.create();
    await file.write(Uint8Array.of(1), 0);
    return ok('memory files', '/dev/shm is a tmpfs with anonymous files');
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return missing('memory files', error.message, 'mount -t tmpfs -o nosuid,nodev tmpfs /dev/shm');
  }
}

async function examineSwap(): Promise<Finding> {
  const devices = (await readText('/proc/swaps')).trim().split('\n').slice(1);
  if (devices.length === 0) return ok('swap', 'none');
  const names = devices.map((line) => line.split(/\s+/)[0]).join(', ');
  return warning(
    'swap',
    names,
    'opened models may be written there: swapoff -a, zram, or encrypted swap with a random key',
  );
}

async function examineCoreDumps(): Promise<Finding> {
  const [limits, pattern] = [await readText('/proc/self/limits'), await readText('/proc/sys/kernel/core_pattern')];
  const risk = coreFileRisk({ limits, pattern });
  return risk === undefined ? ok('core dumps', 'off') : warning('core dumps', 'on', risk);
}

/** Yama's setting: from 1 on a process can trace none but its own children. */
async function examineTracing(): Promise<Finding> {
  const scope = (await readText('/proc/sys/kernel/yama/ptrace_scope')).trim();
  if (/^[123]$/.test(scope)) return ok('tracing', 'closed to other processes of the same user');
  return warning(
    'tracing',
    'open to other processes of the same user',
    'they can read keys from memory: sysctl kernel.yama.ptrace_scope=1, and separate users for hub and agent',
  );
}

export async function examineRights(): Promise<readonly Finding[]> {
  const root = process.getuid?.() === 0;
  const umask = /^Umask:\s*(\d+)/m.exec(await readText('/proc/self/status'))?.[1] ?? 'unknown';
  const closed = (Number.parseInt(umask, 8) & 0o022) === 0o022;
  return [
    root
      ? warning('user', 'root', 'run the agent as a separate user in the group of the TPM device')
      : ok('user', 'not root'),
    closed ? ok('umask', umask) : warning('umask', umask, 'umask 077: new files would be writable by others'),
  ];
}

export async function examineFences(): Promise<readonly Finding[]> {
  return [await examineNamespaces(), await examineSetpriv()];
}

/** The guard runs without network: in a network namespace of its own. */
async function examineNamespaces(): Promise<Finding> {
  const tool = await findTool('unshare');
  if (tool === undefined) return missing('namespaces', 'no unshare', 'apt install util-linux');
  const possible = await succeeds(tool, ['--user', '--map-root-user', '--net', 'true']);
  if (possible) return ok('namespaces', 'a process can get a separate network');
  return warning(
    'namespaces',
    'the kernel refuses user namespaces',
    'the guard then has only the protection of `node --permission`',
  );
}

async function examineSetpriv(): Promise<Finding> {
  const tool = await findTool('setpriv');
  if (tool !== undefined) {
    // As the guard is started: an existing file does not show what it may do here.
    const works = await succeeds(tool, ['--no-new-privs', '--inh-caps=-all', '--ambient-caps=-all', 'true']);
    if (works) return ok('setpriv', tool);
    return warning(
      'setpriv',
      `${tool} exists but fails`,
      'the guard then keeps the privileges of its user: is a seccomp profile in the way?',
    );
  }
  return missing('setpriv', 'not installed', 'apt install util-linux: it removes privileges from the guard');
}

async function succeeds(program: string, words: readonly string[]): Promise<boolean> {
  // After any failure it counts as not possible here.
  return run(program, [...words]).then(
    () => true,
    () => false,
  );
}

/** A file of /proc; empty if it does not exist. */
async function readText(path: string): Promise<string> {
  return orIfMissing(readFile(path, 'utf8'), '');
}
