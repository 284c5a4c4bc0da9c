// The agent's end of the channel to a guard. The guard faces hostile input, so its messages are read as an attacker's: few short lines,
// each strictly a report; anything else ends the guard. This does not rely on Node's own messages between processes, which have no limit
// and can carry handles.
import { messageOf } from '@edgekeep/core/message-of';
import type { Duplex } from 'node:stream';
import { encodeLine, LineReader, parseLine, REPORT_BYTES_MAX } from '@edgekeep/core/model/guard-frames';
import { guardReportSchema, type GuardOrder, type GuardReport } from '@edgekeep/core/model/guard-protocol';

/** A guard sends a few messages while it loads, then its totals and a pong every few seconds. */
const REPORTS_MAX = 64;
const reportsMsWindow = 10_000;

export interface GuardChannelHooks {
  readonly onReport: (report: GuardReport) => void;
  /** The data is not the protocol; called once, and nothing is read afterwards. */
  readonly onViolation: (why: string) => void;
}

export class GuardChannel {
  readonly #stream: Duplex;
  readonly #hooks: GuardChannelHooks;
  readonly #lines = new LineReader(REPORT_BYTES_MAX);
  #reports = 0;
  #windowSinceMs = performance.now();
  #closed = false;

  constructor(stream: Duplex, hooks: GuardChannelHooks) {
    this.#stream = stream;
    this.#hooks = hooks;
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    // A broken channel means that the guard ended, and its process shows that.
    stream.on('error', () => undefined);
    stream.on('close', () => (this.#closed = true));
  }

  get open(): boolean {
    return !this.#closed && this.#stream.writable;
  }

  send(order: GuardOrder): void {
    if (this.open) this.#stream.write(encodeLine(order));
  }

  /** Bytes of a file that the previous order named; resolves when the channel takes more. False when it is closed. */
  async sendBytes(bytes: Uint8Array): Promise<boolean> {
    if (!this.open) return false;
    return new Promise((resolve) =>
      this.#stream.write(bytes, (error) => resolve(error === null || error === undefined)),
    );
  }

  close(): void {
    this.#closed = true;
    this.#stream.destroy();
  }

  #take(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      for (const line of this.#lines.read(chunk)) {
        this.#count();
        const parsed = guardReportSchema.safeParse(parseLine(line));
        if (!parsed.success) throw new TypeError('the guard sent a message that is not in the protocol');
        this.#hooks.onReport(parsed.data);
      }
    } catch (error) {
      this.close();
      this.#hooks.onViolation(messageOf(error));
    }
  }

  #count(): void {
    const now = performance.now();
    if (now - this.#windowSinceMs > reportsMsWindow) {
      this.#windowSinceMs = now;
      this.#reports = 0;
    }
    this.#reports += 1;
    if (this.#reports > REPORTS_MAX)
      throw new TypeError(`the guard sent more than ${REPORTS_MAX} messages in ${reportsMsWindow / 1_000} s`);
  }
}
