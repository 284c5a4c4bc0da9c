// The progress of a transfer, for people: one line that is overwritten on a terminal, and a line now and then where the output is kept
// (CI).
import { printableCell, withEscapes } from '@edgekeep/host/printable';

const onTerminalEveryMs = 500;
const inLogsEveryMs = 30_000;

export interface ProgressOutput {
  readonly isTerminal: boolean;
  write(text: string): void;
}

export class TransferProgress {
  readonly #output: ProgressOutput;
  readonly #what: string;
  readonly #total: number;
  readonly #nowMs: () => number;
  readonly #beganMs: number;
  #shownMs: number;
  #done = 0;
  /** The offset at which this connection began, for its rate. */
  #from = { bytes: 0, atMs: 0 };
  #isLineOpen = false;

  /** `nowMs` is monotonic. */
  constructor(output: ProgressOutput, what: string, total: number, nowMs: () => number = () => performance.now()) {
    this.#output = output;
    this.#what = printableCell(what);
    this.#total = total;
    this.#nowMs = nowMs;
    this.#beganMs = nowMs();
    this.#shownMs = this.#beganMs;
    this.#from = { bytes: 0, atMs: this.#beganMs };
  }

  /** The transfer continues from here. */
  resume(bytes: number): void {
    this.#done = bytes;
    this.#from = { bytes, atMs: this.#nowMs() };
  }

  add(bytes: number): void {
    this.#done += bytes;
    const nowMs = this.#nowMs();
    if (nowMs - this.#shownMs < (this.#output.isTerminal ? onTerminalEveryMs : inLogsEveryMs)) return;
    this.#shownMs = nowMs;
    this.#show(nowMs);
  }

  /** A message between two progress lines. */
  say(text: string): void {
    this.end();
    this.#output.write(`${withEscapes(text)}\n`);
  }

  end(): void {
    if (this.#isLineOpen) this.#output.write('\n');
    this.#isLineOpen = false;
  }

  #show(nowMs: number): void {
    const share = this.#total === 0 ? 1 : Math.min(1, this.#done / this.#total);
    const rate = (this.#done - this.#from.bytes) / Math.max(0.001, (nowMs - this.#from.atMs) / 1_000);
    const left = rate > 0 ? `, ${timeText(Math.max(0, this.#total - this.#done) / rate)} left` : '';
    const line = `  ${this.#what}: ${Math.floor(share * 100)} % of ${sizeText(this.#total)}, ${sizeText(rate)}/s${left}`;
    this.#output.write(this.#output.isTerminal ? `\r${line}\u001b[K` : `${line}\n`);
    this.#isLineOpen = this.#output.isTerminal;
  }
}

/** Standard error, where progress belongs. */
export const progressOutput: ProgressOutput = {
  isTerminal: process.stderr.isTTY,
  // As bytes: the progress line has control sequences of its own.
  write: (text) => void process.stderr.write(Buffer.from(text)),
};

function sizeText(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(0)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

function timeText(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3_600) return `${Math.ceil(seconds / 60)} min`;
  return `${Math.floor(seconds / 3_600)} h ${Math.ceil((seconds % 3_600) / 60)} min`;
}
