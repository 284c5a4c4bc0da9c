// TCP balancers in front of the listeners (spec/proxy-protocol.md): whose headers count, what came, and an alert about one that sends none. What
// a stranger behind a balancer can do, such as saying nothing, raises nothing.
import { addressText, networkContains, parseAddress, parseNetwork } from '@edgekeep/core/canonical/network';
import { Serial } from '@edgekeep/host/serial';
import { Counter, type Registry } from 'prom-client';
import { weighAlert } from '../alert/alerts.ts';
import type { Clock } from '../common/clock.ts';
import type { Database } from '../store/database.ts';

export type BalancedListener = 'device' | 'operator' | 'est';

/** By listener: the addresses and networks whose connections begin with a header. */
export type BalancerNetworks = Readonly<Record<BalancedListener, readonly string[]>>;

/** What a connection of a balancer began with, or why it was refused; `unlisted`: a header from an address that is not on the list. */
export type HeaderOutcome =
  | 'client'
  | 'local'
  | 'unspecified'
  | (typeof ownFaults)[number]
  | 'cut-short'
  | 'late'
  | 'crowded'
  | 'unlisted';

/** Nobody behind a balancer that sends headers can cause these. */
const ownFaults = ['no-header', 'version-1', 'malformed', 'checksum'] as const;

/** Without a header for this long, and this often, a balancer is not set up as the list says. */
const patienceMs = 300_000;
const FAULTS_MIN = 3;
/** A list may have whole networks; beyond these many balancers none is watched. */
const WATCHED_MAX = 1_000;

interface Watched {
  faults: number;
  sinceMs: number;
  /** The alert, as this process wrote it; an earlier process may have left one. */
  alerted: boolean | undefined;
}

export class Balancers {
  readonly #database: Pick<Database, 'read' | 'writeAsHub'>;
  readonly #clock: Clock;
  readonly #networks: ReadonlyMap<string, readonly NonNullable<ReturnType<typeof parseNetwork>>[]>;
  readonly #counts = new Map<string, number>();
  readonly #watched = new Map<string, Watched>();
  readonly #writes = new Serial();

  constructor(database: Pick<Database, 'read' | 'writeAsHub'>, networks: BalancerNetworks, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
    this.#networks = new Map(
      Object.entries(networks).map(([listener, texts]) => [
        listener,
        texts.flatMap((text) => parseNetwork(text) ?? []),
      ]),
    );
  }

  /** Whether connections from this address begin with a header. */
  has(listener: BalancedListener, text: string): boolean {
    const networks = this.#networks.get(listener) ?? [];
    if (networks.length === 0) return false;
    const address = parseAddress(text.replace(/%.*$/, ''));
    return address !== undefined && networks.some((network) => networkContains(network, address));
  }

  /** A listed address or network that has addresses in common with this one: a block would cut off every client behind it. */
  listedIn(text: string): string | undefined {
    const asked = parseNetwork(text);
    if (asked === undefined) return undefined;
    const listed = [...this.#networks.values()]
      .flat()
      .find((each) => networkContains(asked, each) || networkContains(each, asked));
    return listed && `${addressText(listed)}/${listed.prefixLength}`;
  }

  note(listener: BalancedListener, balancer: string, outcome: HeaderOutcome): void {
    const counted = `${listener} ${outcome}`;
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + 1);
    // Not a probe of its own: a balancer can send a header with these alone.
    const isAccepted = outcome === 'client' || outcome === 'unspecified';
    if (!isAccepted && !ownFaults.some((each) => each === outcome)) return;
    const name = `${listener} ${balancer}`;
    const watched = this.#watched.get(name) ?? { faults: 0, sinceMs: this.#clock(), alerted: undefined };
    if (this.#watched.size >= WATCHED_MAX && !this.#watched.has(name)) return;
    this.#watched.set(name, watched);
    if (isAccepted) Object.assign(watched, { faults: 0, sinceMs: this.#clock() });
    else {
      if (watched.faults === 0) watched.sinceMs = this.#clock();
      watched.faults += 1;
    }
    if (watched.alerted !== this.#isDue(watched) && (isAccepted || this.#isDue(watched)))
      // The store may be at fault; the next connection tries again.
      this.#writes.run(() => this.#weigh(listener, balancer, watched)).catch(() => undefined);
  }

  readonly metrics = (registry: Registry): void => {
    const counts = this.#counts;
    const connections: Counter = new Counter({
      name: 'edgekeep_proxy_protocol_connections_total',
      help: 'Connections of TCP balancers, by listener and by what they began with: client, local, unspecified, or why they were refused.',
      labelNames: ['listener', 'outcome'],
      registers: [registry],
      collect() {
        connections.reset();
        for (const [name, count] of counts) {
          const [listener = '', outcome = ''] = name.split(' ');
          connections.inc({ listener, outcome }, count);
        }
      },
    });
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writes.idle();
  }

  #isDue({ faults, sinceMs }: Watched): boolean {
    return faults >= FAULTS_MIN && this.#clock() - sinceMs >= patienceMs;
  }

  async #weigh(listener: BalancedListener, balancer: string, watched: Watched): Promise<void> {
    const isDue = this.#isDue(watched);
    if (watched.alerted === isDue) return;
    const about = {
      kind: 'balancer-without-header',
      subject: { part: `address:${balancer}` },
      detail: listener,
      nowMs: this.#clock(),
    } as const;
    const title = `the balancer ${balancer} sends no PROXY protocol header (version 2) to the ${listener} listener: its connections are refused`;
    const data = { balancer, listener };
    await weighAlert(
      this.#database,
      about,
      isDue ? { severity: 'high', title, data } : { settled: 'it sends headers' },
    );
    watched.alerted = isDue;
  }
}
