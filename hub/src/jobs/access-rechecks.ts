// Asks the policy again for live connections: at a fixed interval, because some facts change without a request (time, traffic, health), and
// soon after another policy came into force.
import type { AccessGate } from '../access/gate.ts';
import type { Clock } from '../common/clock.ts';
import type { Job } from '../common/subject.ts';

/** Where the store cannot be read, no request is served either; the next round tries again. */
export function accessRechecks(gate: Pick<AccessGate, 'recheck'>, clock: Clock, everySeconds: number): Job {
  return {
    name: 'access-rechecks',
    summary: 'asks the policy again for live connections',
    everyMilliseconds: everySeconds * 1_000,
    runsOn: 'every-node',
    run: () => gate.recheck(clock()),
  };
}
