// Runs a tool of the machine; what it says is shown when it fails.
import { spawnSync } from 'node:child_process';

export function run(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): string {
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC', ...environment };
  const { status, stdout, stderr, error } = spawnSync(command, args, { env, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status === 0) return stdout;
  throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
}
