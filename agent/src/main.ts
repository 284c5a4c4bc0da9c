// The agent as a process. The debugger is shut and the compile cache is on before anything else is loaded.
import { hardenProcess } from '@edgekeep/host/own-process';
import { endWithParent } from '@edgekeep/host/parent';

hardenProcess();
endWithParent();
const { runCommandLine } = await import('./command-line.ts');
process.exitCode = await runCommandLine(process.argv.slice(2));
