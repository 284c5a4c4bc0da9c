// Verbs of the command line: `manufacture`.
import type { Verbs } from '../verb.ts';

export const manufactureVerbs: Verbs = {
  'manufacture init': {
    summary: "make a manufacturer's authorities for IDevIDs",
    example: 'manufacture init --ca /srv/line --organization "Example Works" --root-folder /media/usb/manufacturer',
    load: () => import('./init.ts').then((m) => m.command),
  },
  'manufacture device': {
    summary: 'give one device its IDevID',
    example: 'manufacture device SN-17 --ca /srv/line --vendor-roots /srv/tpm-vendors.pem --manifest today.ndjson',
    load: () => import('./device.ts').then((m) => m.command),
  },
  'manufacture batch': {
    summary: 'give IDevIDs to a whole line of devices',
    example: 'manufacture batch --ca /srv/line --input today.csv --output today.ndjson',
    load: () => import('./batch.ts').then((m) => m.command),
  },
};
