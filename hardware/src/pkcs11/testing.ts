// For tests that need a secure element: SoftHSM2 tokens in a temporary folder, or a reason to skip.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadBinding } from './binding.ts';
import { defaultKeyLabels } from './token-keys.ts';
import type { TokenPlace } from './token-session.ts';

const run = promisify(execFile);

/** Where Debian puts it. */
export const softHsmModule = '/usr/lib/softhsm/libsofthsm2.so';

/** The `skip` option of a test: false, or the reason. In CI nothing is skipped, so a missing part fails there. */
export async function skipWithoutSoftHsm(): Promise<string | false> {
  if (process.env['CI'] === 'true') return false;
  const binding = await loadBinding().then(
    () => true,
    () => false,
  );
  if (!binding) return 'not built: pkcs11js';
  const module = await stat(softHsmModule).catch(() => undefined);
  return module === undefined ? 'not installed: softhsm2' : false;
}

export interface TestTokens {
  readonly folder: string;
  /** Where the token of this label is, and its PIN file. */
  place(label: string): TokenPlace;
  pin(label: string): string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Tokens of these labels. SoftHSM2 reads one configuration a process: call this once, before the module is loaded. */
export async function testTokens(...labels: readonly string[]): Promise<TestTokens> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-softhsm-'));
  const configuration = join(folder, 'softhsm2.conf');
  await mkdir(join(folder, 'tokens'));
  await writeFile(configuration, `directories.tokendir = ${join(folder, 'tokens')}\nlog.level = ERROR\n`);
  process.env['SOFTHSM2_CONF'] = configuration;
  const pin = (label: string) => `pin-of-${label}-only`;
  for (const label of labels) {
    await run('softhsm2-util', [
      '--init-token',
      '--free',
      '--label',
      label,
      '--so-pin',
      '12345678',
      '--pin',
      pin(label),
    ]);
    await writeFile(join(folder, `${label}.pin`), `${pin(label)}\n`, { mode: 0o600 });
  }
  return {
    folder,
    pin,
    place: (label) => ({
      module: softHsmModule,
      token: { label },
      pinFile: join(folder, `${label}.pin`),
      keyLabels: defaultKeyLabels,
    }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
