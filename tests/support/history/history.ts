// A recorded history: what several clients asked of a hub, when they began and when they had an answer, by one clock that counts. An answer that was
// lost leaves an operation without an end: it may have happened at any time after its begin, or never.

/** What a client asked of a device's life, or of the log. */
export type OperationKind = 'key' | 'quarantine' | 'reinstate' | 'revoke' | 'look' | 'token';

export type Answer =
  /** A model key, with the id of its lease. */
  | { readonly kind: 'key'; readonly lease: string }
  /** No key, because the device is cut off. */
  | { readonly kind: 'refused' }
  /** The order is done. */
  | { readonly kind: 'done' }
  /** The state that the hub says. */
  | { readonly kind: 'state'; readonly state: DeviceState }
  /** A new enrollment token, by the digits that its entry has. */
  | { readonly kind: 'token'; readonly token: string };

export type DeviceState = 'active' | 'quarantined';

export interface Recorded {
  readonly client: string;
  readonly asked: OperationKind;
  /** The device that it is about; empty for none. */
  readonly device: string;
  /** A text of its own that its entry in the log has, where the client chooses one. */
  readonly mark: string;
  readonly begin: number;
  /** Undefined: the answer was lost. */
  readonly end: number | undefined;
  readonly answer: Answer | undefined;
}

/** A checkpoint that the hub showed to somebody, between two moments of the same clock. */
export interface SeenCheckpoint {
  readonly client: string;
  readonly origin: string;
  readonly size: number;
  /** Base64. */
  readonly root: string;
  readonly begin: number;
  readonly end: number;
}

export type ClientOrder = Pick<Recorded, 'client' | 'asked' | 'device'>;

export class History {
  readonly operations: Recorded[] = [];
  readonly checkpoints: SeenCheckpoint[] = [];
  #moment = 0;

  /**
   * Records one operation. `ask` gets a text for its entry in the log, and resolves to `lost` where it has no answer; to `nothing` where the hub
   * never had the request.
   */
  async record(
    order: ClientOrder,
    ask: (mark: string) => Promise<Answer | 'lost' | 'nothing'>,
  ): Promise<Answer | undefined> {
    const begin = this.#next();
    const mark = `operation ${begin}`;
    const answer = await ask(mark);
    if (answer === 'nothing') return undefined;
    if (answer === 'lost') {
      this.operations.push({ ...order, mark, begin, end: undefined, answer: undefined });
      return undefined;
    }
    this.operations.push({ ...order, mark, begin, end: this.#next(), answer });
    return answer;
  }

  /** Records a checkpoint. */
  async see(
    client: string,
    look: () => Promise<Pick<SeenCheckpoint, 'origin' | 'size' | 'root'> | undefined>,
  ): Promise<void> {
    const begin = this.#next();
    const seen = await look();
    if (seen !== undefined) this.checkpoints.push({ client, ...seen, begin, end: this.#next() });
  }

  #next(): number {
    this.#moment += 1;
    return this.#moment;
  }
}
