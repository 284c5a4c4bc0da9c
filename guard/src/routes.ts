// The paths of the Open Inference Protocol v2: which one a request uses. Follows spec/inference.md section 2.
import { GuardError } from './error.ts';

export type Route =
  | { readonly kind: 'server-metadata' | 'server-live' | 'server-ready' }
  | {
      readonly kind: 'model-metadata' | 'model-ready' | 'infer';
      readonly model: string;
      readonly version: string | undefined;
    };

const fixedPaths: Readonly<Record<string, Route>> = {
  '/v2': { kind: 'server-metadata' },
  '/v2/health/live': { kind: 'server-live' },
  '/v2/health/ready': { kind: 'server-ready' },
};

const modelPath = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/(ready|infer))?$/;

/** @throws GuardError `path-unknown` or `method-not-allowed` */
export function routeOf(method: string, url: string): Route {
  const path = url.split('?', 1)[0] ?? '';
  const route = Object.hasOwn(fixedPaths, path) ? fixedPaths[path] : modelRoute(path);
  if (route === undefined) throw new GuardError('path-unknown', 'no such path in the Open Inference Protocol v2');
  const expected = route.kind === 'infer' ? 'POST' : 'GET';
  if (method !== expected) throw new GuardError('method-not-allowed', `${expected} is the method of this path`);
  return route;
}

function modelRoute(path: string): Route | undefined {
  const [, model, version, verb] = modelPath.exec(path) ?? [];
  if (model === undefined) return undefined;
  const kind = verb === 'infer' ? 'infer' : verb === 'ready' ? 'model-ready' : 'model-metadata';
  return { kind, model: decoded(model), version: version === undefined ? undefined : decoded(version) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new GuardError('path-unknown', 'the path is not percent-encoded UTF-8', { cause });
  }
}
