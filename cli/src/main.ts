#!/usr/bin/env -S node --disable-sigusr1
// `edgekeep`: disables the debugger and enables the compile cache before anything else is loaded, then runs the command line.
import { hardenProcess } from '@edgekeep/host/own-process';

hardenProcess();
const { endWithOutput } = await import('@edgekeep/host/lost-output');
endWithOutput();
const { runCommandLine } = await import('./command-line.ts');
process.exitCode = await runCommandLine(process.argv.slice(2));
