// The one folder layout of an installed Edgekeep (docs/install.md), and where earlier pages had the same folders.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

export const standardFolders = {
  hub: '/var/lib/edgekeep/hub',
  agent: '/var/lib/edgekeep/agent',
  /** Sockets of the agent. */
  run: '/run/edgekeep',
} as const;

export type KeptBy = 'hub' | 'agent';

const formerFolders: Readonly<Record<KeptBy, readonly string[]>> = {
  hub: ['/var/lib/edgekeep', '/var/lib/edgekeep-hub'],
  agent: ['/var/lib/edgekeep', '/var/lib/edgekeep-agent'],
};
/** Which files show that a folder is in use. */
const signs: Readonly<Record<KeptBy, readonly string[]>> = { hub: ['hub.sqlite', 'hub.json'], agent: ['agent.json'] };

/**
 * Why the standard folder is not the one to use: it is not in use, and one of the former places is. Undefined otherwise. `below` is the root of
 * the file system, for tests.
 */
export function formerPlace(keptBy: KeptBy, below = '/'): string | undefined {
  const isUsed = (folder: string) => signs[keptBy].some((name) => existsSync(join(below, folder, name)));
  const standard = standardFolders[keptBy];
  if (isUsed(standard)) return undefined;
  const former = formerFolders[keptBy].find(isUsed);
  return former === undefined
    ? undefined
    : `${standard} is not in use, and ${former} is, where earlier versions kept the ${keptBy}: move it (docs/upgrading.md), or name it on the command line`;
}

/** The command of root that does the same as the owner of `folder`: files that root makes there are closed to the service. */
export function ownersWords(folder: string, words: string, own = process.getuid?.()): string | undefined {
  if (own !== 0 || !existsSync(folder)) return undefined;
  const { uid } = statSync(folder);
  return uid === 0
    ? undefined
    : `setpriv --reuid=${uid} --regid=${statSync(folder).gid} --init-groups edgekeep ${words}`;
}
