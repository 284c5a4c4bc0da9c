// What the device says of itself (spec/registry.md, "Attributes"): which system and agent it runs, what its root of trust is, and whether
// updates wait for a restart. Claims, for people and for filters over a fleet; no decision about keys uses them.
import { readFile, stat } from 'node:fs/promises';
import { arch, release } from 'node:os';
import type { Attributes } from '@edgekeep/wire/api/attributes';
import packageFile from '../../package.json' with { type: 'json' };

/** Where a Linux system says what it is; a test puts its own in their place. */
export interface SystemFiles {
  /** os-release(5). */
  readonly osRelease: string;
  /** There while an installed update waits for a restart (Debian and its kin). */
  readonly rebootRequired: string;
  /** Written with every change of the installed packages. */
  readonly packageDatabase: string;
}

export const systemFiles: SystemFiles = {
  osRelease: '/etc/os-release',
  rebootRequired: '/run/reboot-required',
  packageDatabase: '/var/lib/dpkg/status',
};

// What a file of the system says is cut before it is sent: the hub refuses what is too long, and with it the whole report.
const TEXT_MAX = 128;

/** What cannot be found out is left out. */
export async function deviceAttributes(tier: string, files: SystemFiles = systemFiles): Promise<Attributes> {
  const { ID: name, VERSION_ID: version } = await osReleaseOf(files.osRelease);
  const packagesChangedAt = await changedAt(files.packageDatabase);
  return {
    os: { ...(name && { name }), ...(version && { version }), kernel: bounded(release()), architecture: arch() },
    agent: { version: packageFile.version, node: process.versions.node },
    rootOfTrust: { kind: tier },
    updates: {
      rebootRequired: (await changedAt(files.rebootRequired)) !== undefined,
      ...(packagesChangedAt !== undefined && { packagesChangedAt }),
    },
  };
}

// os-release(5): assignments in the syntax of the shell, of which values without escapes are read.
async function osReleaseOf(path: string): Promise<Readonly<Record<string, string>>> {
  // A report about the system must not end the agent: what this user may not read is left out of it.
  const text = await readFile(path, 'utf8').catch(() => '');
  const lines = text.slice(0, 16_384).matchAll(/^([A-Z_]+)=(?:"([^"\\$`]*)"|'([^'\\]*)'|([\w.:-]*))$/gm);
  return Object.fromEntries([...lines].map(([, key = '', ...values]) => [key, bounded(values.join(''))]));
}

async function changedAt(path: string): Promise<number | undefined> {
  // As above: a report leaves out what it may not read.
  return stat(path).then(
    ({ mtimeMs }) => Math.round(mtimeMs),
    () => undefined,
  );
}

function bounded(text: string): string {
  return text.slice(0, TEXT_MAX);
}
