// Every verb and where it lives; each is loaded only when it is asked for, so `--help` and offline verbs start fast.
import type { Command } from './command.ts';

export const commands: Readonly<Record<string, () => Promise<Command>>> = {
  'attest verify': () => import('./attest/verify.ts').then((m) => m.command),
  'attest replay': () => import('./attest/replay.ts').then((m) => m.command),
  'attest reference': () => import('./attest/reference.ts').then((m) => m.command),
  'model keygen': () => import('./model/keygen.ts').then((m) => m.command),
  'model sign': () => import('./model/sign.ts').then((m) => m.command),
  'model verify': () => import('./model/verify.ts').then((m) => m.command),
  'audit verify': () => import('./audit/verify.ts').then((m) => m.command),
  'receipt verify': () => import('./receipt/verify.ts').then((m) => m.command),
  doctor: () => import('./doctor.ts').then((m) => m.command),
  'floe encrypt': () => import('./model/floe-encrypt.ts').then((m) => m.command),
  'floe decrypt': () => import('./model/floe-decrypt.ts').then((m) => m.command),
};
