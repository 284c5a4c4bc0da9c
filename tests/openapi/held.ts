// Holds the answers of a hub against the OpenAPI document of a listener, and counts which there were.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Route } from '@edgekeep/hub/doors/http/route-table';
import { type HubAnswer, OpenApiDocument } from './validator.ts';

export function documentOf(listener: 'device' | 'operator'): OpenApiDocument {
  return new OpenApiDocument(readFileSync(join(import.meta.dirname, `../../spec/openapi/${listener}.json`), 'utf8'));
}

export class Held {
  readonly #document: OpenApiDocument;
  readonly seen = new Set<string>();
  readonly problems: string[] = [];

  constructor(document: OpenApiDocument) {
    this.#document = document;
  }

  hold({ method, url }: Pick<Route, 'method' | 'url'>, answer: HubAnswer): void {
    this.seen.add(`${method} ${url} ${answer.status}`);
    this.problems.push(...this.#document.problemsOf(method, url, answer));
  }

  /** The routes that answered with this status, as `METHOD address`. */
  routesWith(status: number): readonly string[] {
    const end = ` ${status}`;
    return [...this.seen].filter((each) => each.endsWith(end)).map((each) => each.slice(0, -end.length));
  }

  /** How many routes answered with this status. */
  count(status: number): number {
    return this.routesWith(status).length;
  }
}
