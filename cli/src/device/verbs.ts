// Verbs of the command line: `device`, `token-device`.
import type { Verbs } from '../verb.ts';

export const deviceVerbs: Verbs = {
  'device list': {
    summary: 'list devices',
    example: "device list --filter 'tags.line==press;seenAt<-1h' --sort=-seenAt",
    load: () => import('./list.ts').then((m) => m.command),
  },
  'device show': {
    summary: 'show one device',
    example: 'device show press-7',
    load: () => import('./show.ts').then((m) => m.command),
  },
  'device quarantine': {
    summary: 'cut a device off now',
    example: 'device quarantine press-7 --reason "case was opened"',
    load: () => import('./state-order.ts').then((m) => m.quarantine),
  },
  'device release': {
    summary: 'release a device from quarantine',
    example: 'device release press-7 --reason "inspected by Ada"',
    load: () => import('./state-order.ts').then((m) => m.release),
  },
  'device retire': {
    summary: 'retire a device permanently',
    example: 'device retire press-7 --reason "scrapped"',
    load: () => import('./state-order.ts').then((m) => m.retire),
  },
  'device mark-wiped': {
    summary: 'end a quarantined device’s identity',
    example: 'device mark-wiped press-7 --reason "erased in the workshop"',
    load: () => import('./state-order.ts').then((m) => m.markWiped),
  },
  'device forget-hybrid-key': {
    summary: 'forget the hybrid key of a device, for an older agent',
    example: 'device forget-hybrid-key press-7 --reason "back to the last good system"',
    load: () => import('./forget-hybrid-key.ts').then((m) => m.command),
  },
  'device retry-model': {
    summary: 'make a device try a model again that it could not use',
    example: 'device retry-model press-7 surface',
    load: () => import('./retry-model.ts').then((m) => m.command),
  },
  'token-device add': {
    summary: 'register a device that signs HMAC tokens',
    example: 'token-device add meter-3',
    load: () => import('./token-device.ts').then((m) => m.add),
  },
  'token-device roll': {
    summary: 'give a token device a new secret',
    example: 'token-device roll meter-3 --overlap-hours 2',
    load: () => import('./token-device.ts').then((m) => m.roll),
  },
};
