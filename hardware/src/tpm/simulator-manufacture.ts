// Manufactures a simulated TPM: swtpm_setup makes the endorsement keys, and swtpm's local CA, in a folder that the caller chooses,
// certifies them as a TPM vendor would.
import { execFile } from 'node:child_process';
import { access, constants, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { exists, orIfMissing } from '@edgekeep/host/missing-file';
import { HardwareError } from '../error.ts';

const run = promisify(execFile);

/** Where Debian and others install the tools, also when PATH lacks it. */
const toolFolders = ['/usr/bin', '/usr/local/bin', '/usr/share/swtpm'];
const lockPollMilliseconds = 50;
/** Manufacturing takes a second or two: the holder of an older lock was killed. */
const lockStaleMilliseconds = 60_000;

/** The absolute path of an installed program, or undefined. */
export async function findTool(name: string): Promise<string | undefined> {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), ...toolFolders]) {
    const path = join(folder, name);
    if (folder !== '' && (await isProgram(path))) return path;
  }
  return undefined;
}

/** PEM of the root and the intermediate CA of a vendor folder that has manufactured at least one TPM. */
export async function vendorCertificates(
  vendorFolder: string,
): Promise<{ readonly root: string; readonly intermediate: string }> {
  return {
    root: await readFile(join(vendorFolder, 'swtpm-localca-rootca-cert.pem'), 'utf8'),
    intermediate: await readFile(join(vendorFolder, 'issuercert.pem'), 'utf8'),
  };
}

/** Makes a TPM in `stateFolder` unless one exists. Safe to call concurrently for several TPMs of one vendor. */
export async function manufacture(stateFolder: string, vendorFolder: string): Promise<void> {
  if (await exists(join(stateFolder, 'tpm2-00.permall'))) return;
  const configuration = await writeConfiguration(stateFolder, vendorFolder);
  const make = ['--tpm2', '--tpmstate', stateFolder, '--config', configuration, '--overwrite'];
  const content = ['--create-ek-cert', '--create-platform-cert', '--lock-nvram', '--pcr-banks', 'sha256'];
  // The CA tool makes its keys on first use and has no lock for that.
  await withLock(join(vendorFolder, 'edgekeep.lock'), async () => {
    await run('swtpm_setup', [...make, ...content]).catch((cause: unknown) => {
      throw toolFailure('swtpm_setup', cause);
    });
  });
}

/** swtpm's own configuration files, pointing at the vendor folder instead of the machine's shared CA. */
async function writeConfiguration(stateFolder: string, vendorFolder: string): Promise<string> {
  const authorityTool = await findTool('swtpm_localca');
  if (authorityTool === undefined) throw new HardwareError('simulator-missing', missingText('swtpm_localca'));
  const setup = join(stateFolder, 'swtpm_setup.conf');
  const authority = join(stateFolder, 'swtpm-localca.conf');
  const certificate = join(stateFolder, 'swtpm-localca.options');
  const signing = { statedir: '', signingkey: 'signkey.pem', issuercert: 'issuercert.pem', certserial: 'certserial' };
  const lines = Object.entries(signing).map(([key, file]) => `${key} = ${join(vendorFolder, file)}`);
  await writeFile(authority, `${lines.join('\n')}\n`);
  await writeFile(certificate, '--platform-manufacturer Edgekeep\n--platform-version 1\n--platform-model simulator\n');
  const tool = `create_certs_tool = ${authorityTool}\ncreate_certs_tool_config = ${authority}\n`;
  await writeFile(setup, `${tool}create_certs_tool_options = ${certificate}\nactive_pcr_banks = sha256\n`);
  return setup;
}

/** mkdir either makes the folder or fails: a lock that works between processes. */
async function withLock(path: string, action: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await mkdir(path);
      break;
    } catch (error) {
      // Waits only for a lock that another process holds: a folder that cannot be made is an error.
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      const made = await orIfMissing(stat(path), undefined);
      if (made !== undefined && Date.now() - made.mtimeMs > lockStaleMilliseconds)
        await rm(path, { recursive: true, force: true });
      await delay(lockPollMilliseconds);
    }
  }
  try {
    await action();
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

async function isProgram(path: string): Promise<boolean> {
  // A folder of PATH may be anything: if nothing can be run from it, nothing is found there.
  const isExecutable = await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
  return isExecutable && (await stat(path)).isFile();
}

/** The error for a tool that is missing or failed. */
export function toolFailure(tool: string, cause: unknown): HardwareError {
  const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
  if (missing) return new HardwareError('simulator-missing', missingText(tool));
  const text = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).slice(-2000) : String(cause);
  return new HardwareError('simulator-failed', `${tool} failed: ${text}`, { cause });
}

function missingText(tool: string): string {
  return `${tool} is not installed (Debian: swtpm, swtpm-tools)`;
}
