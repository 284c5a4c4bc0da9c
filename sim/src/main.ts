// `npm start`. The debugger is shut and the compile cache is on before anything else is loaded.
import { hardenProcess } from '@edgekeep/host/own-process';

hardenProcess();
// Keys, tokens and state folders of the demo are its user's alone.
process.umask(0o077);
const { runCommandLine } = await import('./command-line.ts');
process.exitCode = await runCommandLine(process.argv.slice(2));
