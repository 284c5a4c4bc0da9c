// For tests: a node that leads while it may, as a process that can be stopped and killed. Each turn of its job is an entry of the log; it prints a line
// when it leads and when a turn is refused. Arguments: the place of the store as JSON, and the name of the node.
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { asHub } from '../store/authority.ts';
import { Database } from '../store/database.ts';
import { storePlaceSchema } from '../store/engine/place.ts';
import { Leader } from './leader.ts';

const [place = '', node = ''] = process.argv.slice(2);
const database = await Database.open(storePlaceSchema.parse(JSON.parse(place)));
const leader = new Leader(database, node);
while (!leader.leads()) await leader.tick();
// It is stopped in the middle of this: what it began in its term goes on without another look at the lease.
const fence = leader.fence();
console.log('leads');
const work = { at: 1, kind: 'work', actor: 'hub', subject: node, data: {} };
for (;;) {
  try {
    await asHub(() => database.writeAsHub((trx) => appendEntry(trx, work)), fence);
  } catch (error) {
    // The server has ended the group in which this process was stopped; it goes on with the next.
    if (error instanceof HubError && error.code === 'store-failed') continue;
    console.log(error instanceof HubError ? `refused ${error.code}` : String(error));
    break;
  }
}
await database[Symbol.asyncDispose]();
