// `npm start`. Disables the debugger and enables the compile cache before anything else is loaded.
import { hardenProcess } from '@edgekeep/host/own-process';

hardenProcess();
// Only the demo's user can read its keys, tokens and state folders.
process.umask(0o077);
const { outliveOutputs } = await import('@edgekeep/host/lost-output');
outliveOutputs();
const { runCommandLine } = await import('./command-line.ts');
process.exitCode = await runCommandLine(process.argv.slice(2));
