// For tests: starts a guard as an agent would, prints its process id, and waits to be killed.
import { openFixtures, settings, startGuard } from './testing.ts';
import { guardProgram } from './program.ts';
import { findSandbox } from './sandbox-probe.ts';

const program = guardProgram();
const guard = await startGuard(await openFixtures('primary'), {
  program,
  sandbox: await findSandbox(program),
  settings,
});
process.send?.(guard.processId);
