<<<<<<< HEAD
// The hub as a process. Disables the debugger and enables the compile cache before anything else is loaded.
import { hardenProcess } from '@edgekeep/wire/process/own-process';
import { endWithParent } from '@edgekeep/wire/process/parent';
=======
// The hub as a process. The debugger is shut and the compile cache is on before anything else is loaded.
import { hardenProcess } from '@edgekeep/host/own-process';
>>>>>>> 7dbdcd9 (host: one small package under hub, agent, cli and hardware for what programs ask of their machine)

hardenProcess();
endWithParent();
// Only the hub's user can read the files that it writes.
process.umask(0o077);
const { runCommandLine } = await import('./command-line.ts');
process.exitCode = await runCommandLine(process.argv.slice(2));
