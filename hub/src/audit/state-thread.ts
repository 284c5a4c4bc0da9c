// The thread of the hourly check: the rows against the log, and every entry of the log against its last checkpoint. Its own connection, which only
// reads.
import { constants, setPriority } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { checkState, type StateVerdict, unreadable } from './state-check.ts';
import { logProblem } from './log-verification.ts';

const order = z.object({ path: z.string(), key: z.instanceof(Uint8Array) });

if (parentPort === null) throw new TypeError('this file runs as a thread');
// On Linux this is the priority of the calling thread alone; elsewhere it would be the whole hub's.
if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
const { path, key } = order.parse(workerData);
using store = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
parentPort.postMessage(verdictOf(store), []);

function verdictOf(database: DatabaseSync): StateVerdict {
  try {
    const problem = logProblem(database);
    return problem === undefined ? checkState(database, key) : { kind: 'forged', reasons: [problem] };
  } catch (error) {
    const why = isDamaged(error) ? 'the store is damaged' : unreadable(error);
    if (why === undefined) throw error;
    return { kind: 'forged', reasons: [why] };
  }
}

/** SQLITE_CORRUPT: a start says this in words of its own. */
function isDamaged(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 11;
}
