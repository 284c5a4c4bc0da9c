// Verbs of the command line: `authority`.
import type { Verbs } from '../verb.ts';

export const authorityVerbs: Verbs = {
  'authority list': {
    summary: 'show roots and issuing CAs',
    example: 'authority list',
    load: () => import('./list.ts').then((m) => m.list),
  },
  'authority pending': {
    summary: 'show what the root has to sign, and the devices that do not know the newest root',
    example: 'authority pending',
    load: () => import('./list.ts').then((m) => m.pending),
  },
  'authority request': {
    summary: 'make the keys of the hub’s next issuing CAs',
    example: 'authority request --out issuing.csr',
    load: () => import('./issuing.ts').then((m) => m.request),
  },
  'authority install': {
    summary: 'give the hub the signed certificates of its next issuing CAs',
    example: 'authority install issuing.pem --activate now',
    load: () => import('./issuing.ts').then((m) => m.install),
  },
  'authority activate': {
    summary: 'start to issue with the next issuing CAs',
    example: 'authority activate 0ab3c5… --at 2027-03-01T06:00Z',
    load: () => import('./issuing.ts').then((m) => m.activate),
  },
  'authority abandon': {
    summary: 'give up an issuing CA that has issued nothing yet',
    example: 'authority abandon 0ab3c5… --note "the request was lost"',
    load: () => import('./issuing.ts').then((m) => m.abandon),
  },
  'authority revoke': {
    summary: 'revoke an issuing CA whose key was stolen, and all its certificates',
    example: 'authority revoke 0ab3c5… --note "ticket 4711"',
    load: () => import('./issuing.ts').then((m) => m.revoke),
  },
  'authority announce-root': {
    summary: 'announce the next root to devices',
    example: 'authority announce-root rollover.pem',
    load: () => import('./root.ts').then((m) => m.announce),
  },
  'authority overlap': {
    summary: 'set when an old root is dropped',
    example: 'authority overlap 6d0f51… --until 2027-06-01',
    load: () => import('./root.ts').then((m) => m.overlap),
  },
  'authority install-crl': {
    summary: 'give the hub the revocation list of a root',
    example: 'authority install-crl root.crl --root 6d0f51…',
    load: () => import('./root.ts').then((m) => m.installList),
  },
  'authority keys': {
    summary: 'show the keys of log and attestation results, and the list that certifies them',
    example: 'authority keys',
    load: () => import('./keys.ts').then((m) => m.keys),
  },
  'authority request-keys': {
    summary: 'make the hub’s next signing keys, and the request for its key list',
    example: 'authority request-keys --replace attestation-result --out /media/carry/keys.json',
    load: () => import('./key-request.ts').then((m) => m.requestKeys),
  },
  'authority install-keys': {
    summary: 'give the hub the key list that the root signed',
    example: 'authority install-keys /media/carry/key-list.json',
    load: () => import('./keys.ts').then((m) => m.installKeys),
  },
  'authority activate-key': {
    summary: 'start to sign with the next key',
    example: 'authority activate-key 5c1f…',
    load: () => import('./keys.ts').then((m) => m.activateKey),
  },
  'authority abandon-key': {
    summary: 'give up a key that has signed nothing yet',
    example: 'authority abandon-key 5c1f… --note "the request was lost"',
    load: () => import('./keys.ts').then((m) => m.abandonKey),
  },
  'authority trust': {
    summary: 'add the next root to this operator file',
    example: 'authority trust',
    load: () => import('./trust.ts').then((m) => m.command),
  },
};
