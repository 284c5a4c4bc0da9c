// Opens the syslog servers of the settings (spec/syslog.md): each is a consumer of the audit log with a cursor of its own. The log is the buffer:
// what a server did not take is sent again.
import { alertEntryKinds, alertEventsOf, isWanted } from '../event/alert-events.ts';
import type { Events } from '../event/open.ts';
import type { HubSettings } from '../settings.ts';
import type { Database } from '../store/database.ts';
import { syslogFrame } from './message.ts';

export type SyslogServer = HubSettings['syslog']['servers'][number];

/** Sends frames in order. Resolves when the server has read all of them, and rejects when that is not certain. */
export type SendSyslog = (server: SyslogServer, frames: readonly Uint8Array[], signal: AbortSignal) => Promise<void>;

export function openSyslog(
  database: Pick<Database, 'read'>,
  { syslog, names }: Pick<HubSettings, 'syslog' | 'names'>,
  send: SendSyslog,
  events: Pick<Events, 'add'>,
): void {
  const { enterpriseNumber, servers } = syslog;
  for (const server of servers) {
    const source = { hostName: names[0] ?? '-', facility: server.facility, enterpriseNumber };
    events.add({
      name: `syslog-${server.name}`,
      summary: `sends alerts to the syslog server ${server.name}`,
      kinds: alertEntryKinds,
      handle: async (batch, signal) => {
        const wanted = (await alertEventsOf(database.read, batch)).filter((event) => isWanted(event, server));
        const frames = wanted.map((event) => syslogFrame(event, source));
        if (frames.length > 0) await send(server, frames, signal);
        return undefined;
      },
    });
  }
}
