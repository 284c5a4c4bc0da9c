// What every transport of the guard shares: one model, one queue in front of it, the memory of request bodies, and the counts. A transport
// parses a request, asks here, and writes the answer.
import { Counts } from './counts.ts';
import { GuardError } from './error.ts';
import type { GuardedModel, Inference } from './model/guarded-model.ts';
import type { ModelInterface, InferenceRequest } from './inference-request.ts';
import { WAITING_MAX, WAITING_MS_MAX } from './limits.ts';
import { BodyBudget } from './request-body.ts';
import { SerialQueue } from './serial-queue.ts';
import { Timings } from './timings.ts';

/** How a transport reads one request and writes its answer. */
export interface Exchange<T> {
  readonly parse: (model: ModelInterface) => InferenceRequest;
  readonly encode: (request: InferenceRequest, inference: Inference) => T;
  /** The client is gone: nobody reads the answer. */
  readonly isGone: () => boolean;
}

export class InferenceService {
  readonly counts = new Counts();
  readonly timings = new Timings();
  readonly bodies = new BodyBudget();
  readonly model: GuardedModel;
  /** The guard's own version. */
  readonly version: string;
  readonly #lane = new SerialQueue(WAITING_MAX, WAITING_MS_MAX);
  readonly #stopped = new AbortController();

  constructor(model: GuardedModel, version: string) {
    this.model = model;
    this.version = version;
  }

  get stopping(): boolean {
    return this.#stopped.signal.aborted;
  }

  /** Aborts when the service stops. */
  get stopSignal(): AbortSignal {
    return this.#stopped.signal;
  }

  /** Refuses what waits, and resolves when the request that is computed now has ended. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#lane.idle();
  }

  /** @throws GuardError `model-unknown` for a name or version that is not served here */
  assertServed({ model, version }: { readonly model?: string; readonly version?: string | undefined }): void {
    const { name, version: own } = this.model;
    if (model !== name || (version ?? own) !== own)
      throw new GuardError('model-unknown', `this guard serves ${name} ${own}`);
  }

  async answer<T>({ parse, encode, isGone }: Exchange<T>): Promise<T> {
    const began = performance.now();
    try {
      const request = parse(this.model);
      const parsed = performance.now();
      return await this.#lane.run(async () => {
        if (this.stopping) throw new GuardError('stopping', 'the model is being withdrawn');
        if (isGone()) throw new GuardError('request-invalid', 'the connection was closed');
        const started = performance.now();
        const inference = await this.model.infer(request);
        const inferred = performance.now();
        const encoded = encode(request, inference);
        this.counts.addAnswer(inference.assessments);
        const steps = {
          input: parsed - began,
          queue: started - parsed,
          infer: inferred - started,
          output: performance.now() - inferred,
        };
        this.timings.addSuccess(steps, request.inputs[0]?.shape[0] ?? 1, Date.now());
        return encoded;
      });
    } catch (error) {
      this.timings.addFailure(performance.now() - began);
      throw error;
    }
  }

  /** Counts a request that was not answered. */
  countRefusal(isOurFault: boolean): void {
    if (isOurFault) this.counts.addFailed();
    else this.counts.addRefused();
  }
}
