// Names of the previous version in a request (docs/upgrading.md): the reader of such a name notes it here, and the door answers with a
// warning and counts it.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { FormerName } from '@edgekeep/core/former-names';

/** By former name: each counts once per request. */
export type NotedNames = Map<string, FormerName>;

const storage = new AsyncLocalStorage<NotedNames | undefined>();

/** Runs `work` as part of the request that keeps its names in `noted`. */
export function runNoting(noted: NotedNames | undefined, work: () => void): void {
  storage.run(noted, work);
}

/** For the request under way; outside of one it does nothing. */
export function noteFormerName(name: FormerName): void {
  storage.getStore()?.set(name.former, name);
}
