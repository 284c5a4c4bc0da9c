// Gives each request something to act on, before any other hook, and carries it along: the body arrives in events of the socket, which know
// nothing of the request that they belong to.
import { Acting, runActing } from '../store/authority.ts';

const actingOf = new WeakMap<object, Acting>();

/** The first hook of `onRequest`. */
export function beginActing(request: object, _reply: unknown, done: () => void): void {
  const acting = new Acting();
  actingOf.set(request, acting);
  runActing(acting, done);
}

/** The first hook of `preValidation`, when the body is here. */
export function goOnActing(request: object, _reply: unknown, done: () => void): void {
  runActing(actingOf.get(request), done);
}
