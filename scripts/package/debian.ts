// A .deb, by dpkg-deb, which sorts its entries and takes their times from SOURCE_DATE_EPOCH.
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { run } from './command.ts';
import { layOut, sharedPlaces } from './layout.ts';
import type { Architecture } from './native.ts';
import { type Part, setModes, version } from './tree.ts';

const userOf: Readonly<Record<Part, string>> = { hub: 'edgekeep-hub', agent: 'edgekeep' };
/** On a machine with both, `edgekeep` is the hub's. */
const priorityOf: Readonly<Record<Part, string>> = { hub: '20', agent: '10' };
const dependsOf: Readonly<Record<Part, string>> = {
  hub: 'libc6 (>= 2.28), libstdc++6 (>= 8), libgcc-s1, passwd, util-linux',
  agent: 'libc6 (>= 2.28), libstdc++6 (>= 8), libgcc-s1, passwd, util-linux, mount, coreutils',
};
const summaryOf: Readonly<Record<Part, string>> = {
  hub: 'keys for AI models, only to devices that prove what they are: the hub',
  agent: 'keys for AI models, only to devices that prove what they are: the device',
};

export interface Packaging {
  readonly part: Part;
  readonly architecture: Architecture;
  readonly epochSeconds: number;
  /** As Debian counts packages of one version; 1 is the first. */
  readonly revision: number;
  /** Not compressed, to try it. */
  readonly isQuick: boolean;
}

export function writeDeb(work: string, tree: string, out: string, order: Packaging): string {
  const { part, architecture, epochSeconds, revision, isQuick } = order;
  layOut(work, tree, part, epochSeconds);
  // update-alternatives makes links here.
  for (const path of Object.values(sharedPlaces)) mkdirSync(join(work, dirname(path)), { recursive: true });
  const whole = `${version}-${revision}`;
  const paths = readdirSync(work, { recursive: true, encoding: 'utf8' }).sort();
  const files = paths.filter((path) => lstatSync(join(work, path)).isFile());
  const bytes = files.reduce((sum, path) => sum + lstatSync(join(work, path)).size, 0);
  const control = join(work, 'DEBIAN');
  mkdirSync(control);
  writeFileSync(
    join(control, 'control'),
    `Package: edgekeep-${part}
Version: ${whole}
Architecture: ${architecture}
Maintainer: Edgekeep <edgekeep@localhost>
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: ${dependsOf[part]}
${part === 'agent' ? 'Recommends: tpm-udev\n' : ''}Section: admin
Priority: optional
Description: ${summaryOf[part]}
 Sign, seal, attest, release, guard, prove. It brings the Node.js that runs it.
`,
  );
  writeFileSync(join(control, 'md5sums'), files.map((path) => `${md5(join(work, path))}  ${path}\n`).join(''));
  for (const name of ['preinst', 'postinst', 'prerm', 'postrm']) {
    const text = readFileSync(join(import.meta.dirname, 'files', `${name}.sh`), 'utf8');
    const filled = text
      .replaceAll('@PART@', part)
      .replaceAll('@USER@', userOf[part])
      .replaceAll('@VERSION@', whole)
      .replaceAll('@PRIORITY@', priorityOf[part]);
    writeFileSync(join(control, name), filled);
  }
  setModes(work);
  const target = join(out, `edgekeep-${part}_${whole}_${architecture}.deb`);
  const options = ['--root-owner-group', ...(isQuick ? ['-Znone'] : ['-Zxz', '-z9', '--threads-max=1'])];
  run('dpkg-deb', [...options, '--build', work, target], { SOURCE_DATE_EPOCH: String(epochSeconds) });
  return relative(out, target);
}

const md5 = (path: string) => createHash('md5').update(readFileSync(path)).digest('hex');
