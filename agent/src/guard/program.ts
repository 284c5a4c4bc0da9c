// Where the guard's code is and which files it needs: its process can read nothing else. Follows spec/guard.md section 6.
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AgentError } from '../error.ts';

/** A Node program and everything it reads. Paths are absolute. */
export interface SandboxedProgram {
  readonly node: string;
  readonly main: string;
  readonly readable: readonly string[];
  /** Installs the system-call filter and runs the rest of the command; undefined where it was not built. */
  readonly helper?: string;
}

/** The guard beside the agent, in a checkout or an installed package; `main` can be another entry beside it, for tests. */
export function guardProgram(main = 'main.ts'): SandboxedProgram {
  const guard = fileURLToPath(new URL('../../../guard', import.meta.url));
  const runtime = packageFolder('onnxruntime-node', guard);
  const helper = fileURLToPath(new URL('../../native/guard-filter', import.meta.url));
  const bundle = join(guard, 'src/main.js');
  const isBundle = existsSync(bundle);
  return {
    // Built where there is a compiler (scripts/build-native.mjs).
    ...(existsSync(helper) ? { helper } : {}),
    node: realpathSync(process.execPath),
    main: isBundle ? bundle : join(guard, 'src', main),
    readable: [
      join(guard, 'src'),
      join(guard, 'package.json'),
      runtime,
      packageFolder('onnxruntime-common', runtime),
      ...(isBundle ? [] : sources(guard)),
    ],
  };
}

/** What a bundle has inside. */
function sources(guard: string): readonly string[] {
  const core = packageFolder('@edgekeep/core', guard);
  const realCore = realpathSync(core);
  return [...new Set([core, join(realCore, 'src'), join(realCore, 'package.json')]), packageFolder('zod', guard)];
}

/** Node's own look-up: `node_modules/NAME` in the folder or the nearest one above it. */
function packageFolder(name: string, from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(candidate)) return candidate;
    if (folder === dirname(folder)) {
      throw new AgentError(
        'guard-missing',
        `the package ${name} is not installed beside ${from}; run npm install there`,
      );
    }
  }
}
