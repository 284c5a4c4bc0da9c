// A listener that closes ends every TCP connection it has. Node's `closeAllConnections` knows those that speak HTTP: one that is still shaking
// hands is none of them, would speak after it, and keep a stopping hub from its end for as long as the device likes.
import type { Server, Socket } from 'node:net';
import type { HttpServer } from './server.ts';

export interface OpenConnections {
  /** Ends the connections of these addresses. */
  end(isMeant: (address: string) => boolean): void;
}

/** Call it when everything else that looks at new connections is in place, and before the server listens. */
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
