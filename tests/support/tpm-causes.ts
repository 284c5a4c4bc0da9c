// How each row of docs/agent-causes.md is provoked, by the name of the row.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { encodeEventLogHeader } from '@edgekeep/core/attest/event-log';
import { sha1Log, uefiBoot } from '@edgekeep/core/attest/testing';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { openTransport } from '@edgekeep/hardware/tpm/transport';
import type { CauseBench, Machine, Settings } from './cause-bench.ts';
import { ending } from './child.ts';
import { frozenClock } from './frozen-clock.ts';

export type Cause = (bench: CauseBench) => Promise<Machine>;
type Run = (...words: string[]) => Promise<string>;

const counter = '0x0181ec01';
const rsaCertificate = '0x1c00002';
const p384Certificate = '0x1c00016';
const password = 'correct horse';
const startup = 'not-need-init,startup-clear';

/** A machine whose TPM these tools changed. */
const changed =
  (change: (run: Run) => Promise<unknown>, root: Settings = {}): Cause =>
  async (bench) => {
    const { simulator, run } = await bench.tpm();
    await change(run);
    return bench.machine(`unix:${simulator.socketPath}`, { root });
  };

/** A machine whose firmware measured, with this log. */
const logged =
  (log: Uint8Array | 'none' | 'absent' | 'closed'): Cause =>
  async (bench) => {
    const { simulator } = await bench.tpm();
    {
      await using tpm = await TpmRootOfTrust.open(simulator.address);
      await tpm.extend(0, new Uint8Array(32).fill(7));
    }
    const file = join(bench.folder, `log-${String(log).length}-${crypto.randomUUID()}`);
    if (log instanceof Uint8Array) await writeFile(file, log);
    if (log === 'closed') await writeFile(file, encodeEventLogHeader(), { mode: 0o600 });
    const address = `unix:${simulator.socketPath}`;
    const machine = await bench.machine(address, { start: log === 'none' ? {} : { firmwareLogFile: file } });
    return log === 'closed' ? bench.unprivileged(machine, file) : machine;
  };

/** swtpm as it is started by hand; its socket is there when this resolves. */
async function ownSimulator(bench: CauseBench, folder: string, flags: string) {
  const socket = join(bench.folder, `own-${crypto.randomUUID().slice(0, 8)}.sock`);
  const words = ['socket', '--tpm2', '--tpmstate', `dir=${folder}`, '--server', `type=unixio,path=${socket}`];
  const child = spawn('swtpm', [...words, '--flags', flags], { stdio: 'ignore' });
  bench.keep(ending(child));
  for (let tries = 0; tries < 5_000; tries += 1) {
    try {
      const transport = await openTransport({ kind: 'unix', path: socket });
      await transport.close();
      return { socket, child };
    } catch {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  throw new Error('swtpm did not open its socket');
}

async function endLeasesAt(path: string): Promise<void> {
  await using tpm = await TpmRootOfTrust.open({ kind: 'unix', path });
  await tpm.endLeases();
}

async function passwordFile(bench: CauseBench, content: string, mode = 0o600): Promise<string> {
  const file = join(bench.folder, `password-${crypto.randomUUID()}`);
  await writeFile(file, content, { mode });
  return file;
}

export const causes: Readonly<Record<string, Cause>> = {
  'no-tpm': (bench) => bench.machine(`unix:${join(bench.folder, 'nothing.sock')}`),
  'no-rights': async (bench) => {
    const { simulator } = await bench.tpm();
    return bench.unprivileged(await bench.machine(`unix:${simulator.socketPath}`), simulator.socketPath);
  },
  silent: async (bench) => {
    const { simulator } = await bench.tpm();
    await simulator.powerOff();
    const { socket, child } = await ownSimulator(bench, join(simulator.socketPath, '..'), startup);
    child.kill('SIGSTOP');
    bench.keep({ [Symbol.asyncDispose]: async () => void child.kill('SIGCONT') });
    return bench.machine(`unix:${socket}`);
  },
  'not-started': async (bench) => {
    const { simulator } = await bench.tpm();
    await simulator.powerOff();
    const folder = join(simulator.socketPath, '..');
    const { socket } = await ownSimulator(bench, folder, 'not-need-init');
    return bench.machine(`unix:${socket}`);
  },
  // Its state is gone while it runs: it fails at the first command that must write, and stays so.
  'failure-mode': async (bench) => {
    const { simulator } = await bench.tpm();
    await simulator.powerOff();
    const folder = join(simulator.socketPath, '..');
    const { socket } = await ownSimulator(bench, folder, startup);
    await rename(folder, `${folder}-gone`);
    await endLeasesAt(socket).catch(() => undefined);
    return bench.machine(`unix:${socket}`);
  },
  'not-a-tpm': async (bench) => {
    const path = join(bench.folder, 'web.sock');
    const server = createServer((socket) =>
      socket.on('error', () => undefined).once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    ).listen(path);
    await once(server, 'listening');
    bench.keep({ [Symbol.asyncDispose]: async () => void server.close() });
    return bench.machine(`unix:${path}`);
  },
  'endorsement-password': changed((run) => run('changeauth', '-c', 'e', password)),
  'endorsement-password-wrong': async (bench) => {
    const file = await passwordFile(bench, 'another\n');
    return changed((run) => run('changeauth', '-c', 'e', password), { endorsementPasswordFile: file })(bench);
  },
  'password-file': async (bench) => {
    const file = await passwordFile(bench, `${password}\n`, 0o644);
    return changed((run) => run('changeauth', '-c', 'e', password), { endorsementPasswordFile: file })(bench);
  },
  'endorsement-disabled': changed((run) => run('hierarchycontrol', '-C', 'p', 'ehEnable', 'clear')),
  'owner-disabled': changed((run) => run('hierarchycontrol', '-C', 'p', 'shEnable', 'clear')),
  'sha1-alone': async (bench) => {
    const { simulator, run } = await bench.tpm();
    await run('pcrallocate', 'sha1:all+sha256:none');
    await simulator.powerCycle();
    return bench.machine(`unix:${simulator.socketPath}`);
  },
  'owner-password': changed((run) => run('changeauth', '-c', 'o', password)),
  'counter-taken': changed((run) => run('nvdefine', '-C', 'o', '-s', '8', '-a', 'authread|authwrite', counter)),
  'nv-full': changed(fillNv),
  locked: changed(lock),
  'clock-stopped': async (bench) => {
    const { simulator } = await bench.tpm();
    const path = join(bench.folder, 'frozen.sock');
    bench.keep(await frozenClock(simulator.socketPath, path));
    return bench.machine(`unix:${path}`);
  },
  'no-certificate': changed(async (run) => {
    for (const index of [rsaCertificate, p384Certificate]) await run('nvundefine', '-C', 'p', index);
  }),
  'certificate-of-another': async (bench) => {
    const other = await bench.tpm();
    const file = join(bench.folder, 'other.der');
    await other.run('nvread', '-C', 'o', '-o', file, rsaCertificate);
    const size = String((await readFile(file)).length);
    return changed(async (run) => {
      for (const index of [rsaCertificate, p384Certificate]) await run('nvundefine', '-C', 'p', index);
      const attributes = 'ppwrite|ppread|ownerread|authread|no_da|platformcreate';
      await run('nvdefine', '-C', 'p', '-s', size, '-a', attributes, rsaCertificate);
      await run('nvwrite', '-C', 'p', '-i', file, rsaCertificate);
    })(bench);
  },
  'key-evicted': changed(async (run) => {
    for (const handle of ['0x81010001', '0x81010016']) await run('evictcontrol', '-C', 'o', '-c', handle);
  }),
  'another-tpm': async (bench) => {
    const machine = await changed(async () => undefined)(bench);
    const record = { endorsementKeyKind: 'p-384', endorsementKeySha256: '11'.repeat(32), manufacturer: 'IBM' };
    await writeFile(join(machine.stateFolder, 'enrolled-tpm.json'), JSON.stringify(record));
    return machine;
  },
  cleared: async (bench) => {
    const { simulator, run } = await bench.tpm();
    const machine = await bench.machine(`unix:${simulator.socketPath}`);
    await writeFile(join(machine.stateFolder, 'enrolled.json'), '{"deviceId":"press-7"}\n');
    await bench.runToItsHub(machine);
    await run('clear', '-c', 'p');
    return machine;
  },
  'log-named-missing': logged('absent'),
  'log-missing': logged('none'),
  'log-unreadable': logged('closed'),
  'log-empty': logged(new Uint8Array(0)),
  'log-sha1': logged(sha1Log(uefiBoot)),
};

/** Large areas first, then counters, until none fits. */
async function fillNv(run: Run): Promise<void> {
  let index = 0x1500000;
  const fill = async (...words: string[]): Promise<void> => {
    for (;;) {
      try {
        await run('nvdefine', '-C', 'o', ...words, `0x${(index++).toString(16)}`);
      } catch {
        return;
      }
    }
  };
  await fill('-s', '2048', '-a', 'authread|authwrite|no_da');
  await fill('-s', '256', '-a', 'authread|authwrite|no_da');
  await fill('-s', '8', '-a', 'nt=counter|authread|authwrite|no_da');
}

/** Wrong passwords of a key that is not exempt. */
async function lock(run: Run): Promise<void> {
  await run('dictionarylockout', '-s', '-n', '2', '-t', '1000', '-l', '1000');
  await run('createprimary', '-C', 'o', '-p', 'right', '-c', 'locked.ctx', '-G', 'ecc');
  for (let tries = 0; tries < 3; tries += 1) {
    await run('create', '-C', 'locked.ctx', '-P', 'wrong', '-u', 'u', '-r', 'r', '-G', 'ecc').catch(() => undefined);
    await run('flushcontext', '-t');
  }
}
