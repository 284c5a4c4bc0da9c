// Gives each request something to act on, before any other hook, and carries it along: the body arrives in events of the socket, which know
// nothing of the request that they belong to.
import type { FastifyRequest } from 'fastify';
import { Acting, runActing } from '../store/authority.ts';
import type { HttpServer } from './server.ts';

const actingOf = new WeakMap<FastifyRequest, Acting>();

export function actByRequest(app: Pick<HttpServer, 'addHook'>): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const acting = new Acting();
    actingOf.set(request, acting);
    runActing(acting, done);
  });
  app.addHook('preValidation', (request, _reply, done) => runActing(actingOf.get(request), done));
}
