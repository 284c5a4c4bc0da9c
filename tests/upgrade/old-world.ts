// The files of an earlier version, unpacked: a hub's data folder, its backup, an agent's state (make-fixture.ts).
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { HubWorld } from '../support/hub-world.ts';
import { TestAgent } from '../support/test-agent.ts';
import { editOldStore } from './vouched-store.ts';

const run = promisify(execFile);

export class OldWorld implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async unpack(name: string): Promise<OldWorld> {
    const folder = await mkdtemp(join(tmpdir(), `edgekeep-${name}-`));
    const archive = new URL(`${name}.tar.gz`, import.meta.url).pathname;
    await run('tar', ['-xzf', archive, '-C', folder, '--strip-components=1']);
    return new OldWorld(folder);
  }

  at(...path: readonly string[]): string {
    return join(this.#folder, ...path);
  }

  /** Starts a hub of this version on the data folder that `fill` writes. */
  async open(fill: (hubFolder: string) => Promise<unknown>): Promise<HubWorld> {
    const folder = await mkdtemp(join(tmpdir(), 'edgekeep-hub-'));
    const hubFolder = join(folder, 'hub');
    await mkdir(folder, { recursive: true });
    await fill(hubFolder);
    await this.#newAdminToken(hubFolder);
    const settings: Record<string, unknown> = JSON.parse(await readFile(join(hubFolder, 'hub.json'), 'utf8'));
    return HubWorld.reopen(folder, settings);
  }

  /** Fills a hub's folder as `open` wants it. The tokens in an archive end a day or a year after it was made; the test must work longer than that. */
  readonly withTokensAlive = async (to: string): Promise<void> => {
    await cp(this.at('hub'), to, { recursive: true });
    const ends = Date.now() + 3_600_000;
    using store = new DatabaseSync(join(to, 'hub.sqlite'));
    for (const table of ['api_token', 'enrolment_token', 'enrolment_group_token'])
      store.prepare(`update ${table} set expires_at = ?`).run(ends);
  };

  /** An agent on the archive's content of `folder`: an agent's own state, or a kit with the keys that belong to it. */
  async agentOn(world: HubWorld, folder: 'agent' | 'chip' | 'kit', id: string, settings: object): Promise<TestAgent> {
    const state = await mkdtemp(join(tmpdir(), 'edgekeep-agent-'));
    for (const each of folder === 'kit' ? [this.at('agent'), this.at(folder)] : [this.at(folder)]) {
      const isOther = (path: string) => folder === 'kit' && each === this.at('agent') && !isKey(path, each);
      await cp(each, state, { recursive: true, filter: (path) => !isOther(path) });
    }
    const logKey = await orIfMissing(readFile(this.at('log-key'), 'utf8'), undefined);
    return TestAgent.onState(world, id, state, settings, logKey);
  }

  // The token in an archive ends a year after it was made; the tests must work longer than that.
  async #newAdminToken(hubFolder: string): Promise<void> {
    const token = `ek_${randomBytes(32).toString('base64url')}`;
    const sha256 = createHash('sha256').update(token).digest('hex');
    const now = Date.now();
    await editOldStore(hubFolder, (store) =>
      store
        .prepare(
          "insert into api_token (sha256, name, person, roles, scopes, created_at, created_by, expires_at) values (?, 'upgrade', 'admin', '', 'admin', ?, 'test', ?)",
        )
        .run(sha256, now, now + 3_600_000),
    );
    const old: object = JSON.parse(await readFile(this.at('hub', 'operator.json'), 'utf8'));
    await writeFile(join(hubFolder, 'operator.json'), JSON.stringify({ ...old, token }), { mode: 0o600 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function isKey(path: string, folder: string): boolean {
  return path === folder || ['hub-ca.pem', 'attestation.pem', 'publisher.pem'].some((name) => path.endsWith(name));
}
