// Verbs of the command line: `guard`.
import type { Verbs } from '../verb.ts';

export const guardVerbs: Verbs = {
  'guard calibrate': {
    summary: 'make guard settings from clean images',
    example: 'guard calibrate primary.onnx clean --labels none,scratch,pit,inclusion,crack --out guard.json',
    load: () => import('./calibrate.ts').then((m) => m.command),
  },
  'guard try': {
    summary: 'ask a model once, as an application on a device would',
    example: 'guard try primary.onnx crack-00.png --guard guard.json',
    load: () => import('./try.ts').then((m) => m.command),
  },
};
