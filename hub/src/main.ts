// The hub as a process. The compile cache is on before anything else is loaded.
import { enableCompileCache } from 'node:module';

enableCompileCache();
// Whatever the hub writes is its user's alone.
process.umask(0o077);
const { runCommandLine } = await import('./command-line.ts');
process.exitCode = await runCommandLine(process.argv.slice(2));
