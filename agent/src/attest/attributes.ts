// The attributes that the device reports (spec/registry.md, "Attributes"): its system and agent, its root of trust, and whether updates
// wait for a restart. These are claims, for people and for filters over a fleet; no decision about keys uses them.
import { readFile, stat } from 'node:fs/promises';
import { arch, release } from 'node:os';
import type { Attributes } from '@edgekeep/wire/api/attributes';
import packageFile from '../../package.json' with { type: 'json' };

/** Where a Linux system describes itself; a test replaces these paths. */
export interface SystemFiles {
  /** os-release(5). */
  readonly osRelease: string;
  /** Exists while an installed update waits for a restart (Debian and derivatives). */
  readonly rebootRequired: string;
  /** Written at every change of the installed packages. */
  readonly packageDatabase: string;
}

const systemFiles: SystemFiles = {
  osRelease: '/etc/os-release',
  rebootRequired: '/run/reboot-required',
  packageDatabase: '/var/lib/dpkg/status',
};

// Values from system files are cut before they are sent: the hub refuses a value that is too long, and the whole report with it.
const TEXT_MAX = 128;

/** Leaves out what cannot be determined. */
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

// os-release(5): assignments in shell syntax; only values without escapes are read.
async function osReleaseOf(path: string): Promise<Readonly<Record<string, string>>> {
  // A report about the system must not end the agent: what this user cannot read is left out.
  const text = await readFile(path, 'utf8').catch(() => '');
  const lines = text.slice(0, 16_384).matchAll(/^([A-Z_]+)=(?:"([^"\\$`]*)"|'([^'\\]*)'|([\w.:-]*))$/gm);
  return Object.fromEntries([...lines].map(([, key = '', ...values]) => [key, bounded(values.join(''))]));
}

async function changedAt(path: string): Promise<number | undefined> {
  // As above: a report leaves out what this user cannot read.
  return stat(path).then(
    ({ mtimeMs }) => Math.round(mtimeMs),
    () => undefined,
  );
}

function bounded(text: string): string {
  return text.slice(0, TEXT_MAX);
}
