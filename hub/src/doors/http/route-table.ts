// Every route of a listener as it was registered: a test compares docs/api-limits.md with it, and other tests over all routes read it.
import { type DeclaredRoute, readsBody } from './body-limits.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may ask: a scope, or `anyone`. Left out: anyone. */
    who?: string;
  }
}

export interface Route {
  readonly method: string;
  readonly url: string;
  /** Undefined where no body is read. */
  readonly bodyLimit: number | undefined;
  readonly who: string;
}

/** An answer that a route gave and does not declare: our own mistake. */
export type Undeclared = ReadonlySet<string>;

const undeclared = new WeakMap<object, Set<string>>();

export function noteUndeclared(listener: object, answer: string): void {
  const known = undeclared.get(listener) ?? new Set();
  undeclared.set(listener, known);
  known.add(answer);
}

/** `METHOD route status` of each, for tests. */
export function undeclaredOf(listener: object): Undeclared {
  return undeclared.get(listener) ?? new Set();
}

const tables = new WeakMap<object, Route[]>();

export function noteRoute(listener: object, { method, url, bodyLimit, config }: DeclaredRoute): void {
  const table = tables.get(listener) ?? [];
  tables.set(listener, table);
  for (const each of [method].flat()) {
    const limit = readsBody(each) ? bodyLimit : undefined;
    table.push({ method: each, url, bodyLimit: limit, who: config?.who ?? 'anyone' });
  }
}

/** In the order of registration. */
export function routesOf(listener: object): readonly Route[] {
  return tables.get(listener) ?? [];
}
