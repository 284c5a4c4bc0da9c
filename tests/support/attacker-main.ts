// For tests: runs native code of an attacker in the guard's place, behind the walls that this machine gives. Prints as JSON which walls are missing, and
// how each attempt of agent/native/attempts.c ended. usage: attacker-main.ts PROGRAM
import { guardProgram } from '@edgekeep/agent/guard/program';
import { findSandbox } from '@edgekeep/agent/guard/sandbox-probe';
import { spawnGuard } from '@edgekeep/agent/guard/spawned';

const [node = ''] = process.argv.slice(2);
const program = guardProgram();
const sandbox = await findSandbox(program);
const { errorText } = await spawnGuard({ program: { ...program, node }, sandbox }, [], 1024 ** 3).ended;
const attempts = Object.fromEntries(
  errorText
    .trim()
    .split('\n')
    .map((line) => line.split(' ')),
);
process.stdout.write(JSON.stringify({ missing: sandbox.degraded, attempts }));
