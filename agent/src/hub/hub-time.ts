// The hub's clock, from the Date of each of its answers: needed for the length of the lifetimes that it grants, and for how far this
// device's own clock is off. Accurate to a second and the network delay; its uses are measured in minutes.
import type { Send } from '../hub-api.ts';
import { type Clocks, type ClockReading, readClocks } from './lifetime.ts';

// RFC 9110 section 5.6.7: the form that every sender must use.
const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
// The Date has whole seconds: assuming the middle of one, it is wrong by at most half a second.
const halfSecondMs = 500;

export class HubTime {
  readonly #clocks: Clocks;
  #heard: { readonly hubMs: number; readonly at: ClockReading } | undefined;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
  }

  /** The hub's time now, Unix milliseconds; this device's own before the first answer. */
  nowMs(): number {
    if (this.#heard === undefined) return this.#clocks.clock();
    const { hubMs, at } = this.#heard;
    return hubMs + this.#clocks.elapsed() - at.elapsedMs;
  }

  /** How far this device's clock is ahead of the hub's, milliseconds, as of the newest answer; undefined before the first. */
  get skewMs(): number | undefined {
    return this.#heard && Math.round(this.#heard.at.wallMs - this.#heard.hubMs);
  }

  /** Notes the Date of an answer; ignores an answer without a readable Date. */
  note(date: string | undefined): void {
    if (date === undefined || !httpDate.test(date)) return;
    const ms = Date.parse(date);
    if (Number.isNaN(ms)) return;
    this.#heard = { hubMs: ms + halfSecondMs, at: readClocks(this.#clocks) };
  }

  /** Wraps `send` and notes the time of each answer. */
  heardOn(send: Send): Send {
    return async (input) => {
      const response = await send(input);
      this.note(response.headers.date);
      return response;
    };
  }
}
