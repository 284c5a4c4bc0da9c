// Verbs of the command line: `root`.
import type { Verbs } from '../verb.ts';

export const rootVerbs: Verbs = {
  'root init': {
    summary: 'make an offline root authority',
    example: 'root init --folder /media/usb/root',
    load: () => import('./init.ts').then((m) => m.command),
  },
  'root sign-issuing': {
    summary: 'sign the requests of issuing CAs with the offline root',
    example:
      'root sign-issuing --folder /media/usb/root --request /media/carry/issuing.csr --out /media/carry/issuing.pem',
    load: () => import('./sign-issuing.ts').then((m) => m.command),
  },
  'root sign-rollover': {
    summary: 'certify a new root by the old one',
    example:
      'root sign-rollover --folder /media/usb/root --new-folder /media/usb2/root --out /media/carry/rollover.pem',
    load: () => import('./sign-rollover.ts').then((m) => m.command),
  },
  'root sign-crl': {
    summary: 'sign the revocation list of the offline root',
    example: 'root sign-crl --folder /media/usb/root --revoke issuing.pem --out root.crl',
    load: () => import('./sign-list.ts').then((m) => m.command),
  },
  'root sign-keys': {
    summary: 'sign the key list of a hub with the offline root',
    example:
      'root sign-keys --folder /media/usb/root --request /media/carry/keys.json --out /media/carry/key-list.json',
    load: () => import('./sign-keys.ts').then((m) => m.command),
  },
  'root show': {
    summary: 'show a root and verify its ceremony record',
    example: 'root show --folder /media/usb/root',
    load: () => import('./show.ts').then((m) => m.command),
  },
};
