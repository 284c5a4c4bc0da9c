// Verbs of the command line: `publisher`, `model`, `floe`.
import type { Verbs } from '../verb.ts';

export const modelVerbs: Verbs = {
  'publisher trust': {
    summary: 'trust a publisher’s public key',
    example: 'publisher trust key.pub.pem --name plant',
    load: () => import('./publisher.ts').then((m) => m.trust),
  },
  'publisher end': {
    summary: 'end a publisher: what it published counts on, nothing new does',
    example: 'publisher end 1ab9e172 --note "the key was stolen, ticket 4711"',
    load: () => import('./publisher.ts').then((m) => m.end),
  },
  'publisher list': {
    summary: 'list trusted publishers',
    example: 'publisher list',
    load: () => import('./publisher.ts').then((m) => m.list),
  },
  'model publish': {
    summary: 'sign, seal and publish a model',
    example:
      'model publish primary.onnx --name surface --version 1.0.0 --key key.pem --guard guard.json --fallback fallback.onnx',
    load: () => import('./publish.ts').then((m) => m.command),
  },
  'model run': {
    summary: 'run a program on the plaintext of a model',
    example: 'model run engine -- trtexec --loadEngine={}',
    load: () => import('./run.ts').then((m) => m.command),
  },
  'model list': {
    summary: 'list the models of a hub',
    example: 'model list',
    load: () => import('./releases.ts').then((m) => m.list),
  },
  'model assign': {
    summary: 'assign a model to groups of devices',
    example: 'model assign surface presses',
    load: () => import('./assign.ts').then((m) => m.assign),
  },
  'model unassign': {
    summary: 'remove a model from groups of devices',
    example: 'model unassign surface presses',
    load: () => import('./assign.ts').then((m) => m.unassign),
  },
  'model show': {
    summary: 'show one model and its state on devices',
    example: 'model show surface',
    load: () => import('./show.ts').then((m) => m.command),
  },
  'model withdraw': {
    summary: 'withdraw a published model',
    example: 'model withdraw inspect 1.0.0',
    load: () => import('./releases.ts').then((m) => m.withdraw),
  },
  'model keygen': {
    summary: 'make a key pair for signing models',
    example: 'model keygen --out key.pem',
    load: () => import('./keygen.ts').then((m) => m.command),
  },
  'model sign': {
    summary: 'sign a model: a folder, or one file',
    example: 'model sign m --key key.pem --signature m.sig',
    load: () => import('./sign.ts').then((m) => m.command),
  },
  'model verify': {
    summary: 'verify the signature of a model',
    example: 'model verify m --signature m.sig --public-key key.pub.pem',
    load: () => import('./verify.ts').then((m) => m.command),
  },
  'floe encrypt': {
    summary: 'encrypt a file or stream as FLOE (c2sp.org/FLOE)',
    example: 'floe encrypt engine.plan engine.floe --key-file k',
    load: () => import('./floe-encrypt.ts').then((m) => m.command),
  },
  'floe decrypt': {
    summary: 'decrypt a FLOE file or stream (c2sp.org/FLOE)',
    example: 'floe decrypt engine.floe engine.plan --key-file k',
    load: () => import('./floe-decrypt.ts').then((m) => m.command),
  },
};
