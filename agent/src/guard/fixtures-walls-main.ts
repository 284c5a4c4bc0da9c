// For tests: prints as JSON which walls this user gets on this machine.
import { guardProgram } from './program.ts';
import { findSandbox } from './sandbox-probe.ts';

const { parts, degraded } = await findSandbox(guardProgram());
process.stdout.write(JSON.stringify({ parts: [...parts], degraded }));
