// Verbs of the command line: `reference`.
import type { Verbs } from '../verb.ts';

export const referenceVerbs: Verbs = {
  'reference publish': {
    summary: 'sign and publish reference values of a boot',
    example: 'reference publish ref.json --key key.pem',
    load: () => import('./publish.ts').then((m) => m.publish),
  },
  'reference predict': {
    summary: 'foretell the reference values of an update from its files',
    example:
      'reference predict boot.log --name line --version 1.0.1 --replace vmlinuz=vmlinuz.new --replace initrd.img=initrd.new --out next.json',
    load: () => import('./predict.ts').then((m) => m.command),
  },
  'reference layers': {
    summary: 'make reference values of DICE layers from firmware images',
    example:
      "reference layers --name press-firmware --version 1.4.0 --layer '0=boot.bin;vendor=Example' --layer '1=runtime.bin;svn=7' --out layers.json",
    load: () => import('./layers.ts').then((m) => m.command),
  },
  'reference list': {
    summary: 'list reference values',
    example: 'reference list',
    load: () => import('./publish.ts').then((m) => m.list),
  },
  'reference withdraw': {
    summary: 'stop accepting a boot',
    example: 'reference withdraw line 1.0.0',
    load: () => import('./publish.ts').then((m) => m.withdraw),
  },
};
