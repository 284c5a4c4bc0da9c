// The hub as a process. The debugger is shut and the compile cache is on before anything else is loaded.
import { hardenProcess } from '@edgekeep/wire/process/own-process';

hardenProcess();
// Whatever the hub writes is its user's alone.
process.umask(0o077);
const { runCommandLine } = await import('./command-line.ts');
process.exitCode = await runCommandLine(process.argv.slice(2));
