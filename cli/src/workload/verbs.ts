// Verbs of the command line: `workload`.
import type { Verbs } from '../verb.ts';

export const workloadVerbs: Verbs = {
  'workload declare': {
    summary: 'declare a program on a device that gets its own certificate',
    example: 'workload declare vision --group presses',
    load: () => import('./declare.ts').then((m) => m.declare),
  },
  'workload list': {
    summary: 'list workloads',
    example: 'workload list --device press-7',
    load: () => import('./declare.ts').then((m) => m.list),
  },
  'workload remove': {
    summary: 'withdraw the declaration of a workload',
    example: 'workload remove vision --group presses',
    load: () => import('./declare.ts').then((m) => m.remove),
  },
  'workload disable': {
    summary: 'end the certificates of a workload on a device',
    example: 'workload disable vision --device press-7 --reason "camera is being replaced"',
    load: () => import('./switch.ts').then((m) => m.disable),
  },
  'workload enable': {
    summary: 'enable certificates of a workload again',
    example: 'workload enable vision --device press-7',
    load: () => import('./switch.ts').then((m) => m.enable),
  },
  'workload history': {
    summary: 'show the history of a workload on a device',
    example: 'workload history vision --device press-7',
    load: () => import('./switch.ts').then((m) => m.history),
  },
};
