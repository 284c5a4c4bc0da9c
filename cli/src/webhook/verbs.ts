// Verbs of the command line: `webhook`.
import type { Verbs } from '../verb.ts';

export const webhookVerbs: Verbs = {
  'webhook add': {
    summary: 'send alerts to an HTTPS server',
    example: 'webhook add desk --url https://desk.example/hooks/edgekeep --min-severity high',
    load: () => import('./destination.ts').then((m) => m.add),
  },
  'webhook list': {
    summary: 'list webhooks and what waits for them',
    example: 'webhook list',
    load: () => import('./destination.ts').then((m) => m.list),
  },
  'webhook remove': {
    summary: 'send alerts to a webhook no more',
    example: 'webhook remove desk',
    load: () => import('./destination.ts').then((m) => m.remove),
  },
  'webhook enable': {
    summary: 'send again to a webhook whose receiver answered 410',
    example: 'webhook enable desk',
    load: () => import('./destination.ts').then((m) => m.enable),
  },
  'webhook roll-secret': {
    summary: 'make the secret that signs what a webhook gets, or the next one',
    example: 'webhook roll-secret desk --out desk.secret',
    load: () => import('./secret.ts').then((m) => m.roll),
  },
  'webhook test': {
    summary: 'send a test message to a webhook',
    example: 'webhook test desk',
    load: () => import('./secret.ts').then((m) => m.test),
  },
  'webhook dead-letters': {
    summary: 'list the messages that a webhook did not get',
    example: 'webhook dead-letters desk',
    load: () => import('./dead-letter.ts').then((m) => m.list),
  },
  'webhook retry': {
    summary: 'send dead letters again',
    example: 'webhook retry desk 4711',
    load: () => import('./dead-letter.ts').then((m) => m.retry),
  },
  'webhook drop': {
    summary: 'give dead letters up',
    example: 'webhook drop desk --all --reason "the desk has moved"',
    load: () => import('./dead-letter.ts').then((m) => m.drop),
  },
};
