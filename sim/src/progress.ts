// The demo's messages while it works: one line per step, with the seconds since the start.

export interface Progress {
  say(line: string): void;
}

export function startProgress(write: (text: string) => void, nowMs: () => number): Progress {
  const start = nowMs();
  return {
    say: (line) => write(`${((nowMs() - start) / 1_000).toFixed(1).padStart(6)} s  ${line}\n`),
  };
}
