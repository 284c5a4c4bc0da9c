// The guard process: takes one configuration from the agent, serves one model until it gets the stop order or the agent is gone. Follows
// spec/guard.md section 5.
import { messageOf } from '@edgekeep/core/message-of';
import { REPORT_TEXT_MAX, type GuardFile, type GuardOrder } from '@edgekeep/core/model/guard-protocol';
import packageJson from '../package.json' with { type: 'json' };
import { AgentChannel } from './agent-channel.ts';
import { Doors } from './doors.ts';
import { GuardError } from './error.ts';
import { GuardedModel } from './model/guarded-model.ts';
import { InferenceServer } from './inference-server.ts';
import { InferenceService } from './inference-service.ts';
import { readModels } from './model/model-bytes.ts';
import { ModelSession } from './model/session.ts';
import { openSurroundings } from './surroundings.ts';
import { startWatchdog } from './watchdog.ts';

/** Often enough for a fleet's health view, rare enough to cost nothing. */
const countsEveryMs = 5_000;
const exitCodes = { stopped: 0, failed: 1, notAChild: 2 } as const;

let served: { readonly service: InferenceService; readonly server: InferenceServer; readonly doors: Doors } | undefined;
let configured = false;
let ending = false;
let lastCounts = '';

// Any process of the same user id could open Node's debugger with it.
process.on('SIGUSR1', () => undefined);
process.on('SIGTERM', () => void end(exitCodes.stopped));
// Ctrl-C in a terminal reaches the whole group; the agent decides when the guard ends.
process.on('SIGINT', () => undefined);
const surroundings = await openSurroundings();
if (surroundings === undefined) {
  process.stderr.write('edgekeep guard: started by the agent, with a channel to it; not by hand\n');
  process.exit(exitCodes.notAChild);
}
const channel = new AgentChannel(surroundings.stream, {
  onOrder: (order, received) => void obey(order, received).catch(fail),
  onError: (error) => void fail(error),
  onEnd: () => void end(exitCodes.stopped),
});
setInterval(reportCounts, countsEveryMs).unref();
const { own } = surroundings;
await channel.report({ kind: 'loaded', ...(own === undefined ? {} : { surroundings: own }) });

async function obey(order: GuardOrder, received: ReadonlyMap<GuardFile, Buffer>): Promise<void> {
  switch (order.kind) {
    case 'configure':
      return configure(order, received);
    case 'ping':
      return channel.report({ kind: 'pong' });
    case 'retire':
      await served?.doors.close();
      await served?.server.retire();
      return end(exitCodes.stopped);
    case 'stop':
      return end(exitCodes.stopped);
  }
}

async function configure(
  order: Extract<GuardOrder, { kind: 'configure' }>,
  received: ReadonlyMap<GuardFile, Buffer>,
): Promise<void> {
  if (configured) throw new GuardError('order-invalid', 'configured twice');
  configured = true;
  const bytes = readModels(order.files, received);
  await channel.report({ kind: 'files-read' });
  const primary = await ModelSession.open(bytes.primary);
  const fallback = bytes.fallback && (await ModelSession.open(bytes.fallback));
  const model = new GuardedModel(order.model, { primary, fallback }, order.settings);
  const service = new InferenceService(model, packageJson.version);
  const server = new InferenceServer(service);
  if (order.maxInferenceMs !== undefined) await startWatchdog(order.maxInferenceMs);
  const doors = await Doors.open(order.doors ?? surroundings?.doors ?? [], server);
  served = { service, server, doors };
  await channel.report({ kind: 'ready', guarded: model.settings !== undefined, fallback: model.hasFallback });
}

function reportCounts(): void {
  if (served === undefined) return;
  const counts = served.service.counts.read();
  const text = JSON.stringify(counts);
  if (text !== lastCounts) void channel.report({ kind: 'counts', counts });
  lastCounts = text;
}

async function fail(error: unknown): Promise<void> {
  const code = error instanceof GuardError ? error.code : 'internal';
  const message = messageOf(error);
  await channel.report({ kind: 'failed', code, message: message.slice(0, REPORT_TEXT_MAX) });
  await end(exitCodes.failed);
}

async function end(exitCode: number): Promise<void> {
  if (ending) return;
  ending = true;
  if (served !== undefined) {
    await served.doors.close();
    await served.server[Symbol.asyncDispose]();
    await served.service.model[Symbol.asyncDispose]();
    await channel.report({ kind: 'stopped', counts: served.service.counts.read() });
  }
  process.exit(exitCode);
}
