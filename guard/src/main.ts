// The guard process: takes one configuration from the agent, serves one model until it is told to stop or left alone.
// Follows spec/guard.md section 5.
import { Socket } from 'node:net';
import {
  guardOrderSchema,
  reportTextMax,
  type GuardOrder,
  type GuardReport,
} from '@edgekeep/core/model/guard-protocol';
import packageJson from '../package.json' with { type: 'json' };
import { GuardError } from './error.ts';
import { GuardedModel } from './guarded-model.ts';
import { InferenceServer } from './inference-server.ts';
import { readModels } from './model-bytes.ts';
import { ModelSession } from './session.ts';

/** Often enough for a fleet's health view, rare enough to cost nothing. */
const countsEveryMs = 5_000;
const exitCodes = { stopped: 0, failed: 1, notAChild: 2 } as const;

let served: { readonly model: GuardedModel; readonly server: InferenceServer } | undefined;
let configured = false;
let ending = false;
let lastCounts = '';

if (process.send === undefined) {
  process.stderr.write('edgekeep guard: started by the agent, with a channel to it; not by hand\n');
  process.exit(exitCodes.notAChild);
}
process.on('message', (value, handle) => {
  const order = guardOrderSchema.safeParse(value);
  if (order.success) void obey(order.data, handle).catch(fail);
  else void fail(new GuardError('order-invalid', `not an order: ${order.error.issues[0]?.message ?? 'unknown'}`));
});
process.on('disconnect', () => void end(exitCodes.stopped));
process.on('SIGTERM', () => void end(exitCodes.stopped));
// Ctrl-C in a terminal reaches the whole group; the agent decides when the guard ends.
process.on('SIGINT', () => undefined);
setInterval(reportCounts, countsEveryMs).unref();

async function obey(order: GuardOrder, handle: unknown): Promise<void> {
  switch (order.kind) {
    case 'configure':
      return configure(order);
    case 'connection':
      if (!(handle instanceof Socket)) return;
      if (served === undefined || ending) handle.destroy();
      else served.server.accept(handle);
      return;
    case 'retire':
      await served?.server.retire();
      return end(exitCodes.stopped);
    case 'stop':
      return end(exitCodes.stopped);
  }
}

async function configure(order: Extract<GuardOrder, { kind: 'configure' }>): Promise<void> {
  if (configured) throw new GuardError('order-invalid', 'configured twice');
  configured = true;
  const bytes = readModels(order.files);
  await report({ kind: 'files-read' });
  const primary = await ModelSession.open(bytes.primary);
  const fallback = bytes.fallback && (await ModelSession.open(bytes.fallback));
  const model = new GuardedModel(order.model, { primary, fallback }, order.settings);
  served = { model, server: new InferenceServer(model, packageJson.version) };
  await report({ kind: 'ready', guarded: model.settings !== undefined, fallback: model.hasFallback });
}

function reportCounts(): void {
  if (served === undefined) return;
  const counts = served.server.counts.read();
  const text = JSON.stringify(counts);
  if (text !== lastCounts) void report({ kind: 'counts', counts });
  lastCounts = text;
}

async function fail(error: unknown): Promise<void> {
  const code = error instanceof GuardError ? error.code : 'internal';
  const message = error instanceof Error ? error.message : String(error);
  await report({ kind: 'failed', code, message: message.slice(0, reportTextMax) });
  await end(exitCodes.failed);
}

async function end(exitCode: number): Promise<void> {
  if (ending) return;
  ending = true;
  if (served !== undefined) {
    await served.server[Symbol.asyncDispose]();
    await served.model[Symbol.asyncDispose]();
    await report({ kind: 'stopped', counts: served.server.counts.read() });
  }
  process.exit(exitCode);
}

/** Ends when the message is in the channel. Without an agent there is nobody left to tell. */
async function report(message: GuardReport): Promise<void> {
  if (!process.connected) return;
  await new Promise<void>((resolve) => process.send?.(message, undefined, undefined, () => resolve()));
}
