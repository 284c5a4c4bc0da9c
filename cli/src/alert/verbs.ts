// Verbs of the command line: `alert`.
import type { Verbs } from '../verb.ts';

export const alertVerbs: Verbs = {
  'alert list': {
    summary: 'list alerts',
    example: 'alert list',
    load: () => import('./list.ts').then((m) => m.command),
  },
  'alert show': {
    summary: 'show one alert',
    example: 'alert show 4711',
    load: () => import('./show.ts').then((m) => m.command),
  },
  'alert acknowledge': {
    summary: 'record that somebody investigates an alert',
    example: "alert acknowledge 4711 --note 'Ada is on her way to the plant'",
    load: () => import('./order.ts').then((m) => m.acknowledge),
  },
  'alert close': {
    summary: 'close an alert',
    example: "alert close 4711 --note 'stolen backup; certificate revoked, ticket 812'",
    load: () => import('./order.ts').then((m) => m.close),
  },
};
