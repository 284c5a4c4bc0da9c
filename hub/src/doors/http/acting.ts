// Gives each request a context for its authority, before any other hook, and carries it along: a body arrives in events of the socket,
// which do not know their request.
import { Acting, runActing } from '../../store/authority.ts';

const actingOf = new WeakMap<object, Acting>();

/** The first hook of `onRequest`. */
export function beginActing(request: object, _reply: unknown, done: () => void): void {
  const acting = new Acting();
  actingOf.set(request, acting);
  runActing(acting, done);
}

/** The first hook of `preValidation`, when the body has arrived. */
export function goOnActing(request: object, _reply: unknown, done: () => void): void {
  runActing(actingOf.get(request), done);
}
