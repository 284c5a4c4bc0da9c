// Gives each request a context for its authority, before any other hook, and carries it along: a body arrives in events of the socket,
// which do not know their request.
import type { FastifyRequest } from 'fastify';
import { Acting, runActing } from '../../store/authority.ts';

const actingOf = new WeakMap<object, Acting>();

/** The first hook of `onRequest`. */
export function beginActing(request: object, _reply: unknown, done: () => void): void {
  const acting = new Acting();
  actingOf.set(request, acting);
  runActing(acting, done);
}

/** The first hook of `preValidation`, when the body has arrived and the payer is known. */
export function goOnActing(request: FastifyRequest, _reply: unknown, done: () => void): void {
  const acting = actingOf.get(request);
  if (acting !== undefined) acting.payer = request.payer.key;
  runActing(acting, done);
}
