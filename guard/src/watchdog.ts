// A guard that systemd started has no parent that could kill it: a separate thread ends the process when the model blocks the main thread
// for longer than one inference may take. This file is both sides. A compromised guard can end the thread; the memory limit, the walls and
// the missing network of its unit remain.
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** Beats within one deadline. */
const beatsPerDeadline = 4;
// Tells this file that it runs as its thread, and was not only imported.
const threadMark = 'edgekeep-guard-watchdog';

/** Resolves when the thread watches. */
export async function startWatchdog(deadlineMs: number): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { mark: threadMark, deadlineMs }, execArgv: [] });
  await once(worker, 'message');
  worker.unref();
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  const beat = () => worker.postMessage('beat');
  setInterval(beat, Math.max(1, deadlineMs / beatsPerDeadline)).unref();
}

function watch(deadlineMs: number): void {
  const end = () => process.kill(process.pid, 'SIGKILL');
  let timer = setTimeout(end, deadlineMs);
  parentPort?.on('message', () => {
    clearTimeout(timer);
    timer = setTimeout(end, deadlineMs);
  });
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort?.postMessage('watching');
}

const data: unknown = workerData;
if (!isMainThread && typeof data === 'object' && data !== null && 'mark' in data && data.mark === threadMark) {
  if ('deadlineMs' in data && typeof data.deadlineMs === 'number') watch(data.deadlineMs);
}
