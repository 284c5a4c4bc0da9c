// The device listener: which requests pass. A connection shows a certificate of the issuing CA, then proves once that it ends at the
// registered root of trust (`bind`). After that, the device's state, its certificate's end and its budget are still checked for every
// request.
import type { FastifyRequest } from 'fastify';
import { randomBytes } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import { toHex } from '@edgekeep/core/bytes';
import { certificateDigest, parseCertificate, serialText } from '@edgekeep/core/identity/certificate';
import { classProblem } from '@edgekeep/core/identity/certificate-class';
import { deviceIdOf } from '@edgekeep/core/identity/device-id';
import { workloadSpiffeId } from '@edgekeep/core/identity/spiffe-id';
import { claimsSpiffeId, workloadOf } from '@edgekeep/core/identity/svid';
import { CHANNEL_BINDING_LENGTH, channelBinding } from '@edgekeep/wire/link/channel-binding';
import { keyExchangeOf } from '@edgekeep/wire/link/key-exchange';
import { networkOf } from '@edgekeep/core/canonical/network-of';
import type { Traffic } from '../../access/traffic.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import type { Authorities } from '../../authority/authorities.ts';
import { issuerIdOf } from '../../authority/state.ts';
import type {
  BoundDevice,
  ConnectedWorkload,
  Connections,
  DeviceConnection,
  ShownCertificate,
} from '../../presence/connections.ts';
import { RoundTrips } from '../../presence/round-trip.ts';
import type { HubSettings } from '../../settings.ts';
import { establish } from '../../store/authority.ts';
import { boundAuthority, certificateAuthority, strangerAuthority } from './authority.ts';
import type { Admission } from '../http/admission.ts';
import type { Payer } from '../http/payer.ts';

export type DoorSettings = Pick<HubSettings, 'workloads'>;

const whoMayAsk = {
  anyone: 'anyone',
  challenged: 'anyone with an open challenge',
  proving: 'device certificate, or anyone with an open challenge',
  withCertificate: 'device certificate',
  bound: 'bound device',
} as const;

/** For a route's options: who may ask; known before the body is read. */
export interface Guarded {
  readonly config: { readonly who: string };
  readonly onRequest: (request: FastifyRequest) => Promise<void>;
}

export class DeviceDoor {
  readonly roundTrips = new RoundTrips<DeviceConnection>();
  readonly #connections: Connections;
  readonly #authorities: Pick<Authorities, 'issuing'>;
  readonly #clock: Clock;
  readonly #traffic: Traffic;
  readonly #admission: Admission;
  readonly #trustDomain: string;

  constructor(
    connections: Connections,
    authorities: Pick<Authorities, 'issuing'>,
    clock: Clock,
    traffic: Traffic,
    admission: Admission,
    settings: DoorSettings,
  ) {
    this.#connections = connections;
    this.#authorities = authorities;
    this.#clock = clock;
    this.#traffic = traffic;
    this.#admission = admission;
    this.#trustDomain = settings.workloads.trustDomain;
  }

  /** Registers a new TLS connection; called once, before its first request. */
  admit(socket: TLSSocket): void {
    this.#admit(socket, channelBinding(socket));
  }

  /**
   * The same on the listener that has TLS 1.2. Nobody knows the exporter value of such a connection, so no evidence can be bound to it, also
   * if a route that takes evidence came there by mistake.
   */
  admitUnbindable(socket: TLSSocket): void {
    this.#admit(socket, randomBytes(CHANNEL_BINDING_LENGTH));
  }

  #admit(socket: TLSSocket, exporter: Uint8Array): void {
    const begun = { exporter, keyExchange: keyExchangeOf(socket), nowMs: this.#clock() };
    this.#connections.add(socket, begun, shownBy(socket, this.#authorities, this.#trustDomain));
  }

  /** The connection of a request, without charging its budget; undefined if it has ended. */
  connectionOf(request: FastifyRequest): DeviceConnection | undefined {
    const { socket } = request.raw;
    return socket instanceof TLSSocket && !socket.destroyed ? this.#connections.of(socket) : undefined;
  }

  /** Who pays for a request. */
  payerOf(request: FastifyRequest): Payer {
    return this.#payerOf(this.#connected(request));
  }

  /** The device that a request claims to come from; nothing of it is proven. */
  claimOf(request: FastifyRequest): string | undefined {
    const connection = this.connectionOf(request);
    return connection?.certificate?.deviceId ?? connection?.workload?.spiffeId ?? connection?.claimed;
  }

  /** What a route on this listener declares. The handler checks it again, because a body takes time. */
  lets(who: keyof typeof whoMayAsk): Guarded {
    return { config: { who: whoMayAsk[who] }, onRequest: async (request) => void this[who](request) };
  }

  /** Any connection, with or without a certificate: for enrollment and public documents. */
  anyone(request: FastifyRequest): DeviceConnection {
    const connection = this.#connected(request);
    establish(strangerAuthority);
    return connection;
  }

  /** Any connection with an open challenge: a client that did not begin must not send megabytes. */
  challenged(request: FastifyRequest): DeviceConnection {
    const connection = this.anyone(request);
    if (connection.challenge === undefined)
      throw new HubError('challenge-missing', 'no challenge is open on this connection: ask for one first');
    if (connection.challenge.expiresAtMs < this.#clock())
      throw new HubError('challenge-missing', 'the challenge of this connection has expired: ask for another');
    return connection;
  }

  /** A connection that is about to prove itself: by a certificate, or by the response to a challenge. */
  proving(request: FastifyRequest): DeviceConnection {
    const { certificate } = this.anyone(request);
    return certificate === undefined ? this.challenged(request) : this.withCertificate(request).connection;
  }

  /** A connection with a valid device certificate; not yet proven to be the device's own. */
  withCertificate(request: FastifyRequest): BoundDevice {
    const connection = this.anyone(request);
    const { certificate } = connection;
    if (certificate === undefined) {
      throw new HubError('certificate-required', 'connect with the operational certificate that enrollment gave');
    }
    if (certificate.notAfterMs <= this.#clock()) {
      throw new HubError('certificate-required', 'the operational certificate has expired: enroll or renew it');
    }
    establish(certificateAuthority(certificate, this.#clock));
    return { connection, deviceId: certificate.deviceId, certificateSha256: certificate.sha256 };
  }

  /** As `withCertificate`, and the connection is bound to the device's root of trust. */
  bound(request: FastifyRequest): BoundDevice {
    const device = this.withCertificate(request);
    if (!device.connection.bound) {
      throw new HubError('connection-unbound', 'prove the root of trust first: POST /v1/bind on this connection');
    }
    establish(boundAuthority(device.connection));
    this.#connections.use(device.connection, this.#clock());
    return device;
  }

  /** A connection with a valid certificate of a workload. The caller asks the store whether it was revoked. */
  workload(request: FastifyRequest): ConnectedWorkload {
    const { workload } = this.anyone(request);
    if (workload === undefined)
      throw new HubError('certificate-required', 'connect with the certificate of a workload');
    if (workload.notAfterMs <= this.#clock())
      throw new HubError('certificate-required', 'the certificate of this workload has expired: ask the agent');
    establish(certificateAuthority(workload, this.#clock));
    return workload;
  }

  #connected({ raw: { socket } }: FastifyRequest): DeviceConnection {
    if (!(socket instanceof TLSSocket)) throw new HubError('certificate-required', 'this listener speaks TLS only');
    return this.#connections.of(socket);
  }

  // A device has one budget over all its bound connections, and each workload has its own. Before the bind a certificate may be stolen: it
  // uses a budget of its address, so that a thief takes nothing from the device. Clients without a certificate share the budget of their
  // address.
  #payerOf({ certificate, workload, remoteAddress, bound }: DeviceConnection): Payer {
    if (certificate !== undefined) this.#traffic.note(certificate.deviceId, this.#clock());
    const { devices, strangers } = this.#admission;
    if (bound && certificate !== undefined) return { class: devices, key: certificate.deviceId };
    if (workload !== undefined) return { class: devices, key: workload.spiffeId };
    const network = networkOf(remoteAddress);
    if (certificate !== undefined) return { class: devices, key: `${certificate.deviceId} ${network}` };
    return { class: strangers, key: network };
  }
}

// `authorized` means that OpenSSL verified the chain to our root and the dates; a certificate that it did not accept counts as none. The
// same holds for a certificate of an issuing CA that is no longer accepted: under its root the chain is still complete.
function shownBy(socket: TLSSocket, authorities: Pick<Authorities, 'issuing'>, trustDomain: string): ShownCertificate {
  const nothing = { certificate: undefined, workload: undefined };
  if (!socket.authorized) return nothing;
  const { raw } = socket.getPeerCertificate();
  const certificate = parseCertificate(raw);
  const issuer = authorities.issuing(issuerIdOf(certificate));
  const isWorkload = claimsSpiffeId(certificate);
  const expected = isWorkload ? 'workload' : 'device';
  // spec/certificates.md, "Classes": also what a CA of another class issued counts as none.
  if (issuer === undefined || classProblem(certificate, issuer.certificate, expected) !== undefined) return nothing;
  const common = {
    serial: serialText(certificate),
    sha256: toHex(certificateDigest(certificate)),
    notAfterMs: certificate.notAfterSeconds * 1_000,
  };
  if (!isWorkload) {
    return { certificate: { ...common, deviceId: deviceIdOf(certificate) }, workload: undefined };
  }
  const id = workloadOf(certificate);
  // From before the trust domain had its name.
  if (id.trustDomain !== trustDomain) return nothing;
  const { deviceId, workload: name } = id;
  return { certificate: undefined, workload: { ...common, deviceId, name, spiffeId: workloadSpiffeId(id) } };
}
