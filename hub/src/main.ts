// The hub as a process. Disables the debugger and enables the compile cache before anything else is loaded.
import { hardenProcess } from '@edgekeep/host/own-process';
import { endWithParent } from '@edgekeep/host/parent';

hardenProcess();
endWithParent();
// Only the hub's user can read the files that it writes.
process.umask(0o077);
const { outliveOutputs } = await import('@edgekeep/host/lost-output');
outliveOutputs();
const { runCommandLine } = await import('./commands/command-line.ts');
process.exitCode = await runCommandLine(process.argv.slice(2));
