// What a node does besides on a store that other nodes write to: it follows what they changed, and asks for the lease of the work that one node does.
import type { AuditLog } from '../audit/log.ts';
import { Leader } from '../jobs/leader.ts';
import type { Database } from '../store/database.ts';
import type { Assembly } from './assembly.ts';

interface Followed {
  readonly database: Database;
  readonly log: Pick<AuditLog, 'wake'>;
  readonly pollMilliseconds: number;
  /** Of this process of this node. */
  readonly id: string;
}

/** Does nothing on a store that belongs to this process alone. */
export async function openNodes(hub: Assembly, { database, log, pollMilliseconds, id }: Followed): Promise<void> {
  if (!database.isShared) return;
  const leader = hub.use(new Leader(database, id));
  leader.onAsked(hub.scheduler.runSoon);
  hub.scheduler.leadBy(leader);
  await leader.tick();
  hub.scheduler.add({
    name: 'store-follow',
    summary: 'reads what other nodes changed, and builds the tree of the log from their entries',
    everyMilliseconds: pollMilliseconds,
    runsOn: 'every-node',
    run: async () => {
      log.wake();
      const { changed, settle } = await database.look();
      await hub.follow(changed);
      settle();
    },
  });
}
