// The paths of the Open Inference Protocol v2 and of the extensions that are offered: which one a request uses. Follows spec/inference.md
// section 2.
import { GuardError } from './error.ts';

export type Route =
  | { readonly kind: 'server-metadata' | 'server-live' | 'server-ready' | 'repository-index' | 'statistics' }
  | {
      readonly kind: 'model-metadata' | 'model-ready' | 'infer' | 'model-configuration' | 'model-statistics';
      readonly model: string;
      readonly version: string | undefined;
    };

const fixedPaths: Readonly<Record<string, Route>> = {
  '/v2': { kind: 'server-metadata' },
  '/v2/health/live': { kind: 'server-live' },
  '/v2/health/ready': { kind: 'server-ready' },
  '/v2/models/stats': { kind: 'statistics' },
  '/v2/repository/index': { kind: 'repository-index' },
};

const modelPath = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/(ready|infer|config|stats))?$/;
const modelRoutes = {
  ready: 'model-ready',
  infer: 'infer',
  config: 'model-configuration',
  stats: 'model-statistics',
} as const;

/** Extensions of other servers whose clients ask here too: what each path belongs to. */
const notOffered: readonly (readonly [RegExp, string])[] = [
  [
    /^\/v2\/repository\/models\/[^/]+\/(?:load|unload)$/,
    'loading and unloading: the hub decides which models are here',
  ],
  [/^\/v2\/systemsharedmemory(?:\/|$)/, 'system shared memory'],
  [/^\/v2\/cudasharedmemory(?:\/|$)/, 'CUDA shared memory'],
  [/^\/v2(?:\/models\/[^/]+)?\/trace\/setting$/, 'trace settings'],
  [/^\/v2\/logging$/, 'log settings'],
  [/^\/v2\/models\/[^/]+(?:\/versions\/[^/]+)?\/generate(?:_stream)?$/, 'the generate extension'],
];

/** As the page and `/v2` name them. */
export const extensions = ['binary_tensor_data', 'parameters', 'model_configuration', 'statistics'] as const;
export const extensionsNotOffered = [
  'classification',
  'sequence',
  'schedule_policy',
  'model_repository',
  'system_shared_memory',
  'cuda_shared_memory',
  'trace',
  'logging',
  'generate',
] as const;

/** @throws GuardError `path-unknown`, `not-offered` or `method-not-allowed` */
export function routeOf(method: string, url: string): Route {
  const path = url.split('?', 1)[0] ?? '';
  const route = Object.hasOwn(fixedPaths, path) ? fixedPaths[path] : modelRoute(path);
  if (route === undefined) throw unknownPath(path);
  const expected = route.kind === 'infer' || route.kind === 'repository-index' ? 'POST' : 'GET';
  if (method !== expected) throw new GuardError('method-not-allowed', `${expected} is the method of this path`);
  return route;
}

function modelRoute(path: string): Route | undefined {
  const [, model, version, verb] = modelPath.exec(path) ?? [];
  if (model === undefined) return undefined;
  return {
    kind: isVerb(verb) ? modelRoutes[verb] : 'model-metadata',
    model: decoded(model),
    version: version === undefined ? undefined : decoded(version),
  };
}

function isVerb(word: string | undefined): word is keyof typeof modelRoutes {
  return word !== undefined && Object.hasOwn(modelRoutes, word);
}

function unknownPath(path: string): GuardError {
  const [, what] = notOffered.find(([pattern]) => pattern.test(path)) ?? [];
  return what === undefined
    ? new GuardError('path-unknown', 'no such path in the Open Inference Protocol v2')
    : new GuardError('not-offered', what);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new GuardError('path-unknown', 'the path is not percent-encoded UTF-8', { cause });
  }
}
