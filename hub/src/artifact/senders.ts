// One sender for each upload: the newest request ends an earlier one that still sends it, whose connection may be dead without notice.
import { HubError } from '../common/error.ts';

export interface Sender {
  /** Aborted when the sender returns over another connection. */
  readonly signal: AbortSignal;
  [Symbol.dispose](): void;
}

export class Senders {
  readonly #open = new Map<string, { readonly control: AbortController; readonly ended: Promise<void> }>();

  /** Resolves once no other request of this process sends the upload. */
  async take(upload: string): Promise<Sender> {
    for (let before = this.#open.get(upload); before !== undefined; before = this.#open.get(upload)) {
      before.control.abort(new HubError('conflict', 'another request sends this file now'));
      await before.ended;
    }
    const control = new AbortController();
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    this.#open.set(upload, { control, ended });
    return {
      signal: control.signal,
      [Symbol.dispose]: () => {
        this.#open.delete(upload);
        resolve();
      },
    };
  }
}
