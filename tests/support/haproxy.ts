// A real TCP balancer: Debian's haproxy on loopback, TLS passed through.
import { spawn } from 'node:child_process';
import { endpointText } from '@edgekeep/core/canonical/endpoint';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ending } from './child.ts';
import { freePort } from './free-port.ts';

export interface Haproxy extends AsyncDisposable {
  readonly port: number;
  /** What it has logged so far. */
  readonly log: () => string;
}

/** Resolves when it listens. `server` are the words after the address of the server behind it. */
export async function startHaproxy(
  hub: { readonly host: string; readonly port: number },
  server: string,
): Promise<Haproxy> {
  await using opened = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-haproxy-'));
  opened.defer(() => rm(folder, { recursive: true }));
  const port = await freePort();
  const file = join(folder, 'haproxy.cfg');
  await writeFile(
    file,
    `global
  log stdout format raw local0
defaults
  mode tcp
  log global
  option tcplog
  option log-health-checks
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend devices
  bind 127.0.0.1:${port}
  default_backend hubs
backend hubs
  server hub ${endpointText(hub)} ${server}
`,
  );
  const child = spawn('haproxy', ['-db', '-W', '-f', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  opened.use(ending(child));
  let log = '';
  const ready = Promise.withResolvers<void>();
  const note = (text: string) => {
    log += text;
    if (/Loading success|New worker .* forked/.test(log)) ready.resolve();
  };
  child.stdout.setEncoding('utf8').on('data', note);
  child.stderr.setEncoding('utf8').on('data', note);
  void once(child, 'exit').then(() => ready.reject(new Error(`haproxy ended: ${log}`)));
  await ready.promise;
  const running = opened.move();
  return { port, log: () => log, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
