// Verbs of the command line: `ima-policy`.
import type { Verbs } from '../verb.ts';

export const imaPolicyVerbs: Verbs = {
  'ima-policy make': {
    summary: 'make an IMA policy from the IMA logs of good machines',
    example:
      "ima-policy make binary_runtime_measurements --name line --version 1.0.0 --exclude '/var/log/.*' --out ima-policy.json",
    load: () => import('./make.ts').then((m) => m.make),
  },
  'ima-policy import': {
    summary: 'make an IMA policy from a runtime policy of Keylime',
    example: 'ima-policy import runtime-policy.json --name line --version 1.0.0 --out ima-policy.json',
    load: () => import('./make.ts').then((m) => m.importKeylime),
  },
  'ima-policy publish': {
    summary: 'sign and publish an IMA policy',
    example: 'ima-policy publish ima-policy.json --key key.pem',
    load: () => import('./publish.ts').then((m) => m.publish),
  },
  'ima-policy list': {
    summary: 'list IMA policies',
    example: 'ima-policy list',
    load: () => import('./publish.ts').then((m) => m.list),
  },
  'ima-policy withdraw': {
    summary: 'stop accepting what an IMA policy accepts',
    example: 'ima-policy withdraw line 1.0.0',
    load: () => import('./publish.ts').then((m) => m.withdraw),
  },
};
