// A listener that closes ends every TCP connection it has. Node's `closeAllConnections` knows only those that speak HTTP. A connection in
// its TLS handshake is not among them; it would be served later and could keep a stopping hub alive as long as the device likes.
import type { Server, Socket } from 'node:net';
import type { HttpServer } from './server.ts';

export interface OpenConnections {
  /** Ends the connections of these addresses. */
  end(isMeant: (address: string) => boolean): void;
}

/** Call it after every other listener for new connections is in place, and before the server listens. */
export function endConnectionsOnClose(app: Pick<HttpServer, 'addHook'> & { readonly server: Server }): OpenConnections {
  const open = new Set<Socket>();
  let closing = false;
  app.server.on('connection', (socket: Socket) => {
    if (closing) return void socket.destroy();
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  app.addHook('preClose', async () => {
    closing = true;
    for (const socket of open) socket.destroy();
  });
  return {
    end(isMeant) {
      for (const socket of open) if (isMeant(socket.remoteAddress ?? '')) socket.destroy();
    },
  };
}
