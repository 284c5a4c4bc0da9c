// The thread of the hourly check: the rows against the log, and every entry of the log against its last checkpoint. Its own connection, which only
// reads.
import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { isDamage } from '../store/engine/failures.ts';
import { openReader, storePlaceSchema } from '../store/engine/place.ts';
import type { Tables } from '../store/schema.ts';
import { checkState, type StateVerdict, unreadable } from './state-check.ts';
import { logProblem } from './log-verification.ts';

const order = z.object({ place: storePlaceSchema, key: z.instanceof(Uint8Array) });

if (parentPort === null) throw new TypeError('this file runs as a thread');
// On Linux this is the priority of the calling thread alone; elsewhere it would be the whole hub's.
if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
const { place, key } = order.parse(workerData);
{
  await using reader = await openReader<Tables>(place);
  parentPort.postMessage(await verdictOf(reader), []);
}

async function verdictOf(reader: Kysely<Tables>): Promise<StateVerdict> {
  try {
    const problem = await logProblem(reader);
    return problem === undefined ? await checkState(reader, key, 'running') : { kind: 'forged', reasons: [problem] };
  } catch (error) {
    // A start says this in words of its own.
    const why = isDamage(error) ? 'the store is damaged' : unreadable(error);
    if (why === undefined) throw error;
    return { kind: 'forged', reasons: [why] };
  }
}
