// The live TLS connections of devices: the client, whether the connection is bound to a root of trust, and the means to cut a device off at
// once. Challenges are also here: a response counts only on the connection that got the challenge.
import { MARKED_NONCE_RANDOM_LENGTH, markedNonce } from '@edgekeep/core/access/release-ask';
import { canonicalAddress } from '@edgekeep/core/canonical/network';
import type { KeyExchange } from '@edgekeep/wire/link/key-exchange';
import { randomBytes } from 'node:crypto';
import type { ImaPieces } from '../attest/ima-pieces.ts';
import { HubError } from '../common/error.ts';
import { networkOf } from '@edgekeep/core/canonical/network-of';

export interface ConnectedWorkload {
  readonly deviceId: string;
  readonly name: string;
  readonly spiffeId: string;
  readonly serial: string;
  readonly sha256: string;
  readonly notAfterMs: number;
}

/** Another client that claims the identity of a connection. */
export interface ConflictingSession {
  readonly address: string;
  readonly serial: string;
  /** Its own place, if it was let in as well. */
  readonly id: string | undefined;
  /** How often it tried. */
  readonly times: number;
  /** A request on the older connection after this time shows that there are two clients. */
  readonly provesAtMs: number;
}

/** A bound connection as one place of its device (spec/presence.md). */
export interface BoundSession {
  readonly id: string;
  readonly lineage: number;
  readonly boundAtMs: number;
  usedAtMs: number;
  conflict: ConflictingSession | undefined;
  contested: boolean;
}

/** What presence does with the socket of a connection, over any transport. */
export interface LiveSocket {
  readonly destroyed: boolean;
  readonly remoteAddress?: string | undefined;
  destroy(): unknown;
  setTimeout(milliseconds: number): unknown;
  setKeepAlive(on: boolean, afterMilliseconds: number): unknown;
  once(event: 'close', listener: () => void): unknown;
  on(event: 'timeout', listener: () => void): unknown;
}

export interface DeviceConnection extends ImaPieces {
  readonly socket: LiveSocket;
  /** RFC 9266 tls-exporter value of this connection. */
  readonly exporter: Uint8Array;
  /** Of its handshake; undefined counts as classical. */
  readonly keyExchange?: KeyExchange | undefined;
  readonly openedAtMs: number;
  readonly remoteAddress: string;
  /** The verified client certificate; undefined on a connection without one (enrollment). */
  readonly certificate:
    | { readonly deviceId: string; readonly serial: string; readonly sha256: string; readonly notAfterMs: number }
    | undefined;
  /** The verified certificate of a program on a device (spec/workload.md): such a connection has no other one. */
  readonly workload: ConnectedWorkload | undefined;
  /** Set once the root of trust has signed this connection's exporter. */
  bound: boolean;
  /** Set together with `bound`. */
  session: BoundSession | undefined;
  /** The one open challenge of this connection. */
  challenge: OpenChallenge | undefined;
  /** The device that a connection without a certificate claims to be. */
  claimed: string | undefined;
}

interface OpenChallenge {
  readonly nonce: Uint8Array;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/** What a response answers. */
export interface TakenChallenge {
  readonly nonce: Uint8Array;
  /** When it was issued. */
  readonly askedMs: number;
}

/** A connection with a valid device certificate. */
export interface BoundDevice {
  readonly connection: DeviceConnection;
  readonly deviceId: string;
  readonly certificateSha256: string;
}

/** What a TLS client showed; empty when it showed nothing valid. */
export type ShownCertificate = Pick<DeviceConnection, 'certificate' | 'workload'>;

/** Anybody can open connections, and each costs memory. */
const defaultMaxUnproven = 1_024;
/** A connection on which no device has proved itself is closed after this much silence. */
const defaultMaxSilentMs = 60_000;

export class Connections {
  readonly #maxUnproven: number;
  readonly #maxSilentMs: number;
  readonly #unproven: Grouped = new Map();
  readonly #bySocket = new WeakMap<LiveSocket, DeviceConnection>();
  readonly #byDevice = new Map<string, Set<DeviceConnection>>();
  readonly #workloadsByDevice = new Map<string, Set<DeviceConnection>>();
  #count = 0;
  /** Called when a connection is used although a conflicting session should have taken its place, or was refused because of it. */
  onContested: (connection: DeviceConnection) => void = () => {};

  /** The limit of connections from one network on which no device has proved itself is `maxUnproven`. */
  constructor(maxUnproven = defaultMaxUnproven, maxSilentMs = defaultMaxSilentMs) {
    this.#maxUnproven = maxUnproven;
    this.#maxSilentMs = maxSilentMs;
  }

  get count(): number {
    return this.#count;
  }

  get devices(): number {
    return this.#byDevice.size;
  }

  /** Whether the network may open another connection on which no device has proved itself. */
  hasRoom(network: string): boolean {
    return (this.#unproven.get(network)?.size ?? 0) < this.#maxUnproven;
  }

  add(
    socket: LiveSocket,
    { exporter, keyExchange, nowMs }: Pick<DeviceConnection, 'exporter' | 'keyExchange'> & { readonly nowMs: number },
    { certificate, workload }: ShownCertificate,
  ): DeviceConnection {
    const connection: DeviceConnection = {
      socket,
      exporter,
      keyExchange,
      openedAtMs: nowMs,
      remoteAddress: canonicalAddress(socket.remoteAddress ?? '') ?? 'unknown',
      certificate,
      workload,
      bound: false,
      session: undefined,
      challenge: undefined,
      claimed: undefined,
      imaLog: undefined,
    };
    this.#bySocket.set(socket, connection);
    this.#count += 1;
    keep(this.#unproven, networkOf(connection.remoteAddress), connection);
    if (certificate !== undefined) keep(this.#byDevice, certificate.deviceId, connection);
    if (workload !== undefined) keep(this.#workloadsByDevice, workload.deviceId, connection);
    socket.once('close', () => this.#forget(connection));
    socket.on('timeout', () => socket.destroy());
    this.#limitSilence(connection);
    return connection;
  }

  of(socket: LiveSocket): DeviceConnection {
    const connection = this.#bySocket.get(socket);
    if (connection === undefined || socket.destroyed)
      throw new HubError('connection-unbound', 'this connection has ended');
    return connection;
  }

  /** Of one device, or of all. */
  *bound(deviceId?: string): Generator<DeviceConnection> {
    const sets = deviceId === undefined ? this.#byDevice.values() : [this.#byDevice.get(deviceId) ?? []];
    for (const own of sets) for (const connection of own) if (connection.bound) yield connection;
  }

  /** Notes a request on a bound connection. */
  use(connection: DeviceConnection, nowMs: number): void {
    const { session } = connection;
    if (session === undefined) return;
    session.usedAtMs = nowMs;
    if (session.conflict !== undefined && nowMs >= session.conflict.provesAtMs) this.onContested(connection);
  }

  /** A device has proved itself on the connection: from now on silence does not close it. */
  bind(connection: DeviceConnection): void {
    connection.bound = true;
    connection.socket.setTimeout(0);
    forget(this.#unproven, networkOf(connection.remoteAddress), connection);
  }

  /** The connection stays open, and the device must prove itself again. */
  unbind(connection: DeviceConnection): void {
    connection.bound = false;
    keep(this.#unproven, networkOf(connection.remoteAddress), connection);
    this.#limitSilence(connection);
  }

  #limitSilence({ socket }: DeviceConnection): void {
    socket.setTimeout(this.#maxSilentMs);
  }

  /** Closes every live connection of a device and its workloads, or those with one certificate. Returns the number closed. */
  cut(deviceId: string, serial?: string): number {
    const all = [...(this.#byDevice.get(deviceId) ?? []), ...(this.#workloadsByDevice.get(deviceId) ?? [])];
    const own =
      serial === undefined
        ? all
        : all.filter(({ certificate, workload }) => (certificate ?? workload)?.serial === serial);
    for (const connection of own) cutOne(connection);
    return own.length;
  }

  #forget(connection: DeviceConnection): void {
    this.#count -= 1;
    forget(this.#unproven, networkOf(connection.remoteAddress), connection);
    forget(this.#byDevice, connection.certificate?.deviceId, connection);
    forget(this.#workloadsByDevice, connection.workload?.deviceId, connection);
  }
}

/** Closes one connection; requests under way on it no longer count as bound. */
export function cutOne(connection: DeviceConnection): void {
  connection.bound = false;
  connection.socket.destroy();
}

type Grouped = Map<string, Set<DeviceConnection>>;

function keep(all: Grouped, name: string, connection: DeviceConnection): void {
  const own = all.get(name) ?? new Set();
  own.add(connection);
  all.set(name, own);
}

function forget(all: Grouped, name: string | undefined, connection: DeviceConnection): void {
  if (name === undefined) return;
  const own = all.get(name);
  own?.delete(connection);
  if (own?.size === 0) all.delete(name);
}

/** Opens a challenge on a connection; the previous one is void. */
export function openChallenge(connection: DeviceConnection, nowMs: number, lifeSeconds: number): Uint8Array {
  const nonce = markedNonce(randomBytes(MARKED_NONCE_RANDOM_LENGTH));
  connection.challenge = { nonce, issuedAtMs: nowMs, expiresAtMs: nowMs + lifeSeconds * 1_000 };
  return nonce;
}

/** Takes the open challenge away: it allows one response, right or wrong. */
export function takeChallenge(connection: DeviceConnection, nowMs: number): TakenChallenge {
  const { challenge } = connection;
  connection.challenge = undefined;
  if (challenge === undefined)
    throw new HubError('challenge-missing', 'no challenge is open on this connection: ask for one first');
  if (nowMs > challenge.expiresAtMs)
    throw new HubError('challenge-missing', 'the challenge has expired: ask for a new one');
  return { nonce: challenge.nonce, askedMs: challenge.issuedAtMs };
}
