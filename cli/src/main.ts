#!/usr/bin/env node
// `edgekeep`: turns the compile cache on before anything else is loaded, then runs the command line.
import { enableCompileCache } from 'node:module';

enableCompileCache();
const { runCommandLine } = await import('./command-line.ts');
process.exitCode = await runCommandLine(process.argv.slice(2));
