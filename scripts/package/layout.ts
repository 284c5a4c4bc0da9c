// A tree at its place in a root file system, with what the system finds elsewhere: units, manual pages, completion, users and folders. The .deb
// and the tarball are this.
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { shells } from '@edgekeep/cli/completion/shell-scripts';
import { completedVerbs } from '@edgekeep/cli/completion/completion';
import { verbs } from '@edgekeep/cli/verbs';
import { commandPage, servicePage } from './manual.ts';
import { root } from './bundle.ts';
import type { Part } from './tree.ts';

export const treePlace = (part: Part) => `usr/lib/edgekeep/${part}`;

/** Where the system looks, by the name that the file has in `share` of the tree. */
export const sharedPlaces = {
  'edgekeep.1.gz': 'usr/share/man/man1/edgekeep.1.gz',
  'edgekeep.bash': 'usr/share/bash-completion/completions/edgekeep',
  _edgekeep: 'usr/share/zsh/vendor-completions/_edgekeep',
  'edgekeep.fish': 'usr/share/fish/vendor_completions.d/edgekeep.fish',
} as const;

const shellOf = { 'edgekeep.bash': 'bash', _edgekeep: 'zsh', 'edgekeep.fish': 'fish' } as const;

/** Writes `share` of a tree. */
export async function writeShared(tree: string, epochSeconds: number): Promise<void> {
  mkdirSync(join(tree, 'share'), { recursive: true });
  writeFileSync(join(tree, 'share/edgekeep.1.gz'), gzipSync(await commandPage(epochSeconds), { level: 9 }));
  const completed = await completedVerbs(verbs);
  for (const [file, shell] of Object.entries(shellOf))
    writeFileSync(join(tree, 'share', file), shells[shell]?.(completed) ?? '');
}

/** Copies the tree into `folder` and writes the rest around it. */
export function layOut(folder: string, tree: string, part: Part, epochSeconds: number): void {
  const place = join(folder, treePlace(part));
  mkdirSync(dirname(place), { recursive: true });
  cpSync(tree, place, { recursive: true });
  const put = (path: string, content: string | Uint8Array) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  };
  put(`usr/share/man/man8/edgekeep-${part}.8.gz`, gzipSync(servicePage(part, epochSeconds), { level: 9 }));
  const pages = join(folder, 'usr/share/doc', `edgekeep-${part}`);
  put(`usr/share/doc/edgekeep-${part}/copyright`, copyright(tree));
  // Messages and help name pages by their paths here, and pages link to one another.
  for (const place of ['.', 'docs', 'docs/design', 'spec']) {
    mkdirSync(join(pages, place), { recursive: true });
    for (const name of readdirSync(join(root, place)).filter((each) => each.endsWith('.md')))
      copyFileSync(join(root, place, name), join(pages, place, name));
  }
  for (const name of readdirSync(join(tree, 'units'))) {
    const [, base = '', kind = ''] = /^(.*)\.(sysusers|tmpfiles)\.conf$/.exec(name) ?? [];
    const target = kind === '' ? `usr/lib/systemd/system/${name}` : `usr/lib/${kind}.d/${base}.conf`;
    // A drop-in takes effect where the operator puts it.
    if (name.endsWith('-units.conf')) continue;
    mkdirSync(dirname(join(folder, target)), { recursive: true });
    copyFileSync(join(tree, 'units', name), join(folder, target));
  }
}

function copyright(tree: string): string {
  return `Edgekeep\n\n${readFileSync(join(tree, 'LICENSE'), 'utf8')}\n${readFileSync(join(tree, 'THIRD-PARTY'), 'utf8')}`;
}

/** Where nothing like update-alternatives manages them. */
export function linkShared(folder: string, part: Part): void {
  const link = (path: string, target: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    symlinkSync(`/${treePlace(part)}/${target}`, join(folder, path));
  };
  link('usr/bin/edgekeep', 'bin/edgekeep');
  for (const [file, path] of Object.entries(sharedPlaces)) link(path, `share/${file}`);
}
