// Connections that begin with the header of a TCP balancer (spec/proxy-protocol.md). A listed balancer's header is read before anything else; a
// connection of anybody else is as it is, so nobody else sets an address.
import type { Server, Socket } from 'node:net';
import { beginsAsHeader, parseProxyHeader } from '@edgekeep/wire/link/proxy-protocol/header';
import type { Balancers, BalancedListener, HeaderOutcome } from '../../address/balancers.ts';
import { type Client, connectionName, setClient } from './client-address.ts';

/** Proxy-protocol.txt asks for 3 s or more: a lost packet is sent again after that. */
const headerMilliseconds = 5_000;
/** Connections that wait for a header. When there are more, the one that waits longest makes room: a header takes no time on its way. */
const WAITING_MAX = 4_096;
/** The shortest beginning that names a header. */
const NAMED_BYTES = 6;

export interface BalancedRules {
  readonly listener: BalancedListener;
  readonly balancers: Pick<Balancers, 'has' | 'note'>;
  /** A connection was refused; for the hub's log. */
  readonly onRefused: (balancer: string, outcome: HeaderOutcome) => void;
}

/** What the header of a connection said; no client: the balancer's own address counts. */
interface Header {
  readonly client: Client | undefined;
}

export class BalancedConnections {
  readonly #rules: BalancedRules;
  readonly #waiting = new Map<Socket, () => void>();
  /** By the name of the TCP connection, as long as it is open. */
  readonly #headers = new Map<string, Header>();

  constructor(rules: BalancedRules) {
    this.#rules = rules;
  }

  /** Sets the client's address on its TLS session, before anything else sees it. One of a balancer without a header is ended. */
  follow(server: Server): void {
    const { listener, balancers } = this.#rules;
    server.prependListener('secureConnection', (socket: Socket) => {
      if (!balancers.has(listener, socket.remoteAddress ?? '')) return;
      const header = this.#headers.get(connectionName(socket) ?? '');
      if (header === undefined) socket.destroy();
      else if (header.client !== undefined) setClient(socket, header.client);
    });
  }

  /** Calls `next` for a connection whose address is known, with the bytes of the client still on it. */
  receive(socket: Socket, next: () => void): void {
    const { listener, balancers } = this.#rules;
    const balancer = socket.remoteAddress;
    // The other end has reset it already, as some balancers end a probe.
    if (balancer === undefined) return void socket.destroy();
    if (!balancers.has(listener, balancer)) return next();
    this.#makeRoom();
    const note = (outcome: HeaderOutcome) => this.#note(balancer, outcome);
    const waiting = new HeaderWait(socket, note, (client) => {
      this.#waiting.delete(socket);
      this.#keep(socket, { client });
      next();
    });
    this.#waiting.set(socket, () => waiting.end('crowded'));
    socket.once('close', () => this.#waiting.delete(socket));
  }

  /** The first bytes of a connection that are no TLS: a header from an address that is not listed has its own name. */
  noteForeign(socket: Socket, bytes: Uint8Array): void {
    if (bytes.length < NAMED_BYTES || !beginsAsHeader(bytes)) return;
    this.#note(socket.remoteAddress ?? 'unknown', 'unlisted');
  }

  #note(balancer: string, outcome: HeaderOutcome): void {
    const { listener, balancers, onRefused } = this.#rules;
    balancers.note(listener, balancer, outcome);
    if (outcome !== 'client' && outcome !== 'local' && outcome !== 'unspecified') onRefused(balancer, outcome);
  }

  #keep(socket: Socket, header: Header): void {
    const name = connectionName(socket);
    if (header.client !== undefined) setClient(socket, header.client);
    if (name === undefined) return;
    this.#headers.set(name, header);
    socket.once('close', () => {
      // A balancer takes the port of a connection that it reset again, and that one may close later than the next one opens.
      if (this.#headers.get(name) === header) this.#headers.delete(name);
    });
  }

  #makeRoom(): void {
    if (this.#waiting.size < WAITING_MAX) return;
    const [end] = this.#waiting.values();
    end?.();
  }
}

/** Reads one header. A connection that closes without a byte costs and says nothing: balancers probe so. */
class HeaderWait {
  readonly #socket: Socket;
  readonly #note: (outcome: HeaderOutcome) => void;
  readonly #next: (client: Client | undefined) => void;
  readonly #timer: NodeJS.Timeout;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, note: (outcome: HeaderOutcome) => void, next: (client: Client | undefined) => void) {
    this.#socket = socket;
    this.#note = note;
    this.#next = next;
    this.#timer = setTimeout(() => this.end('late'), headerMilliseconds).unref();
    // The error of a connection that ends while it waits needs no handling.
    socket
      .on('error', () => {})
      .on('readable', this.#read)
      .once('end', this.#cut)
      .once('close', this.#stop);
  }

  end(outcome: HeaderOutcome): void {
    this.#stop();
    if (outcome !== 'cut-short' || this.#bytes.length > 0) this.#note(outcome);
    this.#socket.destroy();
  }

  readonly #cut = () => this.end('cut-short');

  readonly #stop = () => {
    clearTimeout(this.#timer);
    this.#socket.off('readable', this.#read).off('end', this.#cut).off('close', this.#stop);
  };

  readonly #read = () => {
    const chunk: Buffer | null = this.#socket.read();
    if (chunk === null) return;
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    const header = parseProxyHeader(this.#bytes);
    if (header.kind === 'incomplete') return;
    if (header.kind === 'refused') return this.end(header.reason);
    this.#stop();
    this.#note(header.kind);
    const rest = this.#bytes.subarray(header.length);
    if (rest.length > 0) this.#socket.unshift(rest);
    this.#next(header.kind === 'client' ? header : undefined);
  };
}
