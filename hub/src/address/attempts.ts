// Refused attempts by network of origin: counted in a metric, and raised as an alert when one network has too many within a minute. In a
// flood only counters grow; memory, log and store stay small. The hub's log has a line for each attempt, with address and claimed name.
import type { AlertData } from '../alert/alert-data.ts';
import { raiseAlert } from '../alert/alerts.ts';
import type { Clock } from '../common/clock.ts';
import { networkOf } from '@edgekeep/core/canonical/network-of';
import type { Database } from '../store/database.ts';

export interface Attempt {
  readonly listener: string;
  readonly address: string;
  /** The claimed name: a device id, or the person or service of a token. */
  readonly claimed: string | undefined;
  readonly code: string;
}

interface Counted {
  times: number;
  /** An alert for it was already written in this window. */
  told: number;
  readonly addresses: Set<string>;
  readonly claimed: Set<string>;
  readonly codes: Set<string>;
  readonly listeners: Set<string>;
}

const windowMs = 60_000;
// A window remembers this many networks; attempts of further networks are counted together.
const NETWORKS_MAX = 10_000;
// The number of alerts that one window opens or updates; further networks share one alert.
const alertsEachWindow = 16;
const NAMES_MAX = 16;
const elsewhere = 'other networks';

export class Attempts {
  readonly #database: Pick<Database, 'writeAsHub'>;
  readonly #clock: Clock;
  readonly #alertAt: number;
  readonly #count: (listener: string, code: string) => void;
  readonly #networks = new Map<string, Counted>();
  #alerts = 0;
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  /** `alertAt` attempts of one network within a minute raise an alert; 0 raises none. */
  constructor(
    database: Pick<Database, 'writeAsHub'>,
    clock: Clock,
    alertAt: number,
    count: (listener: string, code: string) => void,
  ) {
    this.#database = database;
    this.#clock = clock;
    this.#alertAt = alertAt;
    this.#count = count;
  }

  note({ listener, address, claimed, code }: Attempt): void {
    this.#count(listener, code);
    const own = networkOf(address);
    const name = this.#networks.has(own) || this.#networks.size < NETWORKS_MAX ? own : elsewhere;
    const counted = this.#networks.get(name) ?? newCount();
    this.#networks.set(name, counted);
    counted.times += 1;
    add(counted.addresses, address);
    add(counted.codes, code);
    add(counted.listeners, listener);
    if (claimed !== undefined) add(counted.claimed, claimed);
    this.#timer ??= setTimeout(() => void this.flush(), windowMs).unref();
    if (this.#alertAt > 0 && counted.times === this.#alertAt) this.#tell([[name, counted]]);
  }

  /** Ends the window: adds the attempts since the first alert to it. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const ended = [...this.#networks].filter(([, { times, told }]) => told > 0 && times > told);
    this.#networks.clear();
    this.#alerts = 0;
    this.#tell(ended);
    await this.#writing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
  }

  #tell(networks: readonly (readonly [string, Counted])[]): void {
    const all = networks.map(([name, counted]) => {
      const times = counted.times - counted.told;
      counted.told = counted.times;
      this.#alerts += 1;
      return { name: this.#alerts > alertsEachWindow ? elsewhere : name, counted, times };
    });
    if (all.length === 0) return;
    const nowMs = this.#clock();
    const written = this.#database
      .writeAsHub(async (trx) => {
        for (const { name, counted, times } of all) {
          const who = counted.claimed.size === 0 ? '' : `, as ${[...counted.claimed].slice(0, 3).join(', ')}`;
          await raiseAlert(trx, {
            kind: 'refused-attempts',
            severity: 'medium',
            subject: { part: `address:${name}` },
            title: `${times} refused attempts from ${name} within a minute${who}`,
            data: dataOf(counted),
            times,
            nowMs,
          });
        }
      })
      // If a count cannot be written, it is lost; the metric and the log have it.
      .catch(() => undefined);
    this.#writing = Promise.all([this.#writing, written]).then(() => undefined);
  }
}

function newCount(): Counted {
  const [addresses, claimed, codes, listeners] = [new Set(''), new Set(''), new Set(''), new Set('')];
  return { times: 0, told: 0, addresses, claimed, codes, listeners };
}

function add(names: Set<string>, name: string): void {
  if (names.size < NAMES_MAX) names.add(name);
}

function dataOf({ addresses, claimed, codes, listeners }: Counted): AlertData {
  return { addresses: [...addresses], claimed: [...claimed], codes: [...codes], listeners: [...listeners] };
}
