// Refused attempts, by the network they come from: counted in a metric, and raised as an alert when one network has too many within a minute. A
// flood makes numbers grow: memory, log and store stay small. Each attempt's own line in the hub's log has address and claimed name.
import type { AlertData } from '../respond/alert-data.ts';
import { raiseAlert } from '../respond/alerts.ts';
import type { Clock } from '../clock.ts';
import { networkOf } from '../presence/places.ts';
import type { Database } from '../store/database.ts';

export interface Attempt {
  readonly listener: string;
  readonly address: string;
  /** Whom it claimed to be: a device id, or the person or service of a token. */
  readonly claimed: string | undefined;
  readonly code: string;
}

interface Counted {
  times: number;
  /** Written as an alert in this window already. */
  told: number;
  readonly addresses: Set<string>;
  readonly claimed: Set<string>;
  readonly codes: Set<string>;
  readonly listeners: Set<string>;
}

const windowMs = 60_000;
// A window remembers this many networks; attempts of further ones count together.
const networksMost = 10_000;
// Alerts that one window opens or counts on; further networks are told of together.
const alertsEachWindow = 16;
const namesMost = 16;
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

  /** `alertAt` attempts of one network within a minute are an alert; 0 raises none. */
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
    const name = this.#networks.has(own) || this.#networks.size < networksMost ? own : elsewhere;
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

  /** Ends the window: what came since the first alert is counted on it. */
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
      // A count that cannot be written is lost; the metric and the log have it.
      .catch(() => undefined);
    this.#writing = Promise.all([this.#writing, written]).then(() => undefined);
  }
}

function newCount(): Counted {
  const [addresses, claimed, codes, listeners] = [new Set(''), new Set(''), new Set(''), new Set('')];
  return { times: 0, told: 0, addresses, claimed, codes, listeners };
}

function add(names: Set<string>, name: string): void {
  if (names.size < namesMost) names.add(name);
}

function dataOf({ addresses, claimed, codes, listeners }: Counted): AlertData {
  return { addresses: [...addresses], claimed: [...claimed], codes: [...codes], listeners: [...listeners] };
}
