// The guard's end of the channel to the agent: orders come in, one per line, some followed by the bytes of files; reports go out. Follows
// spec/guard.md section 5.
import type { Duplex } from 'node:stream';
import { encodeLine, LineReader, ORDER_BYTES_MAX, parseLine } from '@edgekeep/core/model/guard-frames';
import {
  guardOrderSchema,
  type GuardFile,
  type GuardOrder,
  type GuardReport,
} from '@edgekeep/core/model/guard-protocol';
import { GuardError } from './error.ts';

const lineFeed = 0x0a;

export interface AgentChannelHooks {
  /** `received` are the bytes of the files that the order names without a descriptor. */
  readonly onOrder: (order: GuardOrder, received: ReadonlyMap<GuardFile, Buffer>) => void;
  readonly onError: (error: GuardError) => void;
  /** The agent is gone. */
  readonly onEnd: () => void;
}

interface Receiving {
  readonly order: GuardOrder;
  readonly files: ReadonlyMap<GuardFile, Buffer>;
  /** Buffers that are not full yet. */
  readonly waiting: Buffer[];
  offset: number;
}

export class AgentChannel {
  readonly #stream: Duplex;
  readonly #hooks: AgentChannelHooks;
  readonly #lines = new LineReader(ORDER_BYTES_MAX);
  #receiving: Receiving | undefined;

  constructor(stream: Duplex, hooks: AgentChannelHooks) {
    this.#stream = stream;
    this.#hooks = hooks;
    stream.on('data', (chunk: Buffer) => {
      try {
        this.#take(chunk);
      } catch (cause) {
        hooks.onError(new GuardError('order-invalid', 'the channel carries no orders', { cause }));
      }
    });
    stream.on('error', () => undefined);
    stream.on('close', hooks.onEnd);
    stream.on('end', hooks.onEnd);
  }

  /** Resolves when the kernel has the message. Without an agent nobody receives the report. */
  async report(message: GuardReport): Promise<void> {
    if (!this.#stream.writable) return;
    await new Promise<void>((resolve) => this.#stream.write(encodeLine(message), () => resolve()));
  }

  #take(chunk: Buffer): void {
    for (let rest = chunk; rest.length > 0;) {
      if (this.#receiving !== undefined) {
        rest = rest.subarray(this.#fill(this.#receiving, rest));
        continue;
      }
      const end = rest.indexOf(lineFeed);
      const [line] = this.#lines.read(end === -1 ? rest : rest.subarray(0, end + 1));
      if (line !== undefined) this.#order(line);
      rest = end === -1 ? rest.subarray(rest.length) : rest.subarray(end + 1);
    }
  }

  #order(line: string): void {
    const parsed = guardOrderSchema.safeParse(parseLine(line));
    if (!parsed.success) {
      const why = parsed.error.issues[0]?.message ?? 'unknown';
      return this.#hooks.onError(new GuardError('order-invalid', `not an order: ${why}`));
    }
    const order = parsed.data;
    const named = order.kind === 'configure' ? order.files.filter(({ descriptor }) => descriptor === undefined) : [];
    // Not from Node's shared pool: these bytes are zeroed as a whole later.
    const files = new Map(named.map((file) => [file, Buffer.allocUnsafeSlow(file.size)]));
    if (files.size === 0) return this.#hooks.onOrder(order, files);
    this.#receiving = { order, files, waiting: [...files.values()], offset: 0 };
  }

  /** How many bytes it consumed. */
  #fill(receiving: Receiving, bytes: Buffer): number {
    const [into] = receiving.waiting;
    if (into === undefined) return 0;
    const taken = bytes.copy(into, receiving.offset);
    // The bytes that passed through belong to a model.
    bytes.fill(0, 0, taken);
    receiving.offset += taken;
    if (receiving.offset < into.length) return taken;
    receiving.waiting.shift();
    receiving.offset = 0;
    if (receiving.waiting.length === 0) {
      this.#receiving = undefined;
      this.#hooks.onOrder(receiving.order, receiving.files);
    }
    return taken;
  }
}
