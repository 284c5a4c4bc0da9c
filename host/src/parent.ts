// Ends a process whose parent was killed. `edgekeep hub run` and `edgekeep agent run` start the hub and the agent as separate processes,
// over a channel of Node's; the system closes it when the parent ends, for any reason.

/** Ends this process as SIGTERM does once the parent that started it over a channel is gone; without a channel it does nothing. */
export function endWithParent(): void {
  const { channel } = process;
  if (channel === undefined) return;
  const end = () => process.kill(process.pid, 'SIGTERM');
  process.once('disconnect', end);
  // A verb that has done its work ends without waiting for the parent.
  channel.unref();
  if (!process.connected) end();
}
