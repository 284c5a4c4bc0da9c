// A real HTTP proxy: Debian's tinyproxy on loopback.
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ending } from './child.ts';
import { freePort } from './free-port.ts';

export interface Tinyproxy extends AsyncDisposable {
  readonly port: number;
  /** What it has logged so far. */
  readonly log: () => string;
}

/** Resolves when it listens; `lines` are added to its configuration. */
export async function startTinyproxy(lines: readonly string[] = []): Promise<Tinyproxy> {
  await using opened = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-tinyproxy-'));
  opened.defer(() => rm(folder, { recursive: true }));
  const port = await freePort();
  const file = join(folder, 'tinyproxy.conf');
  const always = [`Port ${port}`, 'Listen 127.0.0.1', 'Timeout 600', 'MaxClients 50', 'LogLevel Info'];
  await writeFile(file, `${[...always, ...lines].join('\n')}\n`);
  const child = spawn('tinyproxy', ['-d', '-c', file], { stdio: ['ignore', 'pipe', 'inherit'] });
  opened.use(ending(child));
  const accepting = Promise.withResolvers<void>();
  let log = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    log += text;
    if (log.includes('Accepting connections')) accepting.resolve();
  });
  child.once('exit', () => accepting.reject(new Error(`tinyproxy ended: ${log}`)));
  await accepting.promise;
  const running = opened.move();
  return { port, log: () => log, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
