// A real syslog server: Debian's rsyslog on loopback, TLS by its OpenSSL driver.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestAuthority } from '@edgekeep/wire/link/testing-authority';
import { ending } from './child.ts';
import { freePort } from './free-port.ts';

export class Rsyslog implements AsyncDisposable {
  readonly port: number;
  readonly #folder: string;
  #running: AsyncDisposableStack | undefined;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
  }

  /** A server that is not started yet. It asks for a certificate of `authority`. */
  static async make({ authorityPem, server }: TestAuthority): Promise<Rsyslog> {
    const folder = await mkdtemp(join(tmpdir(), 'edgekeep-rsyslog-'));
    const made = new Rsyslog(folder, await freePort());
    const place = (name: string) => JSON.stringify(join(folder, name));
    await writeFile(join(folder, 'ca.pem'), authorityPem);
    await writeFile(join(folder, 'cert.pem'), server.certificateChainPem);
    await writeFile(join(folder, 'key.pem'), server.privateKeyPem);
    await writeFile(
      join(folder, 'rsyslog.conf'),
      `global(workDirectory=${JSON.stringify(folder)} maxMessageSize="16k"
  defaultNetstreamDriverCAFile=${place('ca.pem')}
  defaultNetstreamDriverCertFile=${place('cert.pem')}
  defaultNetstreamDriverKeyFile=${place('key.pem')})
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
template(name="line" type="string" string="%pri%|%timereported:::date-rfc3339%|%hostname%|%app-name%|%procid%|%msgid%|%structured-data%|%msg%\\n")
input(type="imtcp" port="${made.port}" address="127.0.0.1")
action(type="omfile" file=${place('lines')} template="line")
`,
    );
    await writeFile(made.#lines, '');
    return made;
  }

  get #lines(): string {
    return join(this.#folder, 'lines');
  }

  start(): void {
    const running = new AsyncDisposableStack();
    const files = ['-f', join(this.#folder, 'rsyslog.conf'), '-i', join(this.#folder, 'pid')];
    running.use(ending(spawn('rsyslogd', ['-n', ...files], { stdio: ['ignore', 'ignore', 'inherit'] })));
    this.#running = running;
  }

  async stop(): Promise<void> {
    await this.#running?.disposeAsync();
    this.#running = undefined;
  }

  /** What it has written, once there are this many lines. */
  async lines(count: number): Promise<readonly string[]> {
    for (;;) {
      const lines = (await readFile(this.#lines, 'utf8')).split('\n').slice(0, -1);
      if (lines.length >= count) return lines;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
