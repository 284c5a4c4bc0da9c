// One simulated device at work: it connects, binds the connection to its root of trust, and attests for keys. A lost connection is made
// again before the next step, as on every device.
import { boundToAsk } from '@edgekeep/core/access/release-ask';
import { hybridWrapType } from '@edgekeep/core/access/wrap-context';
import { parseBase64url } from '@edgekeep/core/bytes';
import {
  entryVersionHeader,
  receiptVersionHeader,
  receiptVersionTwo,
  saltedEntryVersion,
} from '@edgekeep/wire/api/access';
import { DeviceConnection, type HttpAnswer, type HubAddress } from './connection.ts';
import { DeviceFailure } from './failures.ts';
import { type Boot, bootOf, type FleetFile, type Member, Prover } from './member.ts';

const wraps = [hybridWrapType];
const headers = `${entryVersionHeader}: ${saltedEntryVersion}\r\n${receiptVersionHeader}: ${receiptVersionTwo}\r\n`;

export class FleetDevice {
  readonly member: Member;
  readonly #fleet: FleetFile;
  readonly #hub: HubAddress;
  readonly #prover: Prover;
  #connection: DeviceConnection | undefined;

  private constructor(fleet: FleetFile, hub: HubAddress, member: Member, boot: Boot) {
    this.member = member;
    this.#fleet = fleet;
    this.#hub = hub;
    this.#prover = new Prover(member.attestationKey, boot, fleet.pcrs);
  }

  /** All devices of a fleet; those of one machine model share its boot log. */
  static all(fleet: FleetFile, hub: HubAddress): readonly FleetDevice[] {
    const boots = fleet.boots.map((boot) => bootOf(Buffer.from(boot, 'base64')));
    return fleet.members.map((member) => {
      const boot = boots[member.boot];
      if (boot === undefined) throw new Error(`the fleet file has no boot log ${member.boot}`);
      return new FleetDevice(fleet, hub, member, boot);
    });
  }

  /** Resolves when the present connection ends. */
  get closed(): Promise<void> {
    return this.#live().closed;
  }

  async connect(): Promise<void> {
    this.#connection = await DeviceConnection.open(this.#hub, this.#fleet, this.member);
  }

  async bind(): Promise<void> {
    const live = this.#live();
    const evidence = this.#prover.evidence('bind', new Uint8Array(32), live.exporter);
    succeeded(await live.post('/v1/bind', `{"evidence":${evidence}}`));
  }

  /** Attest and release as a device does it: a challenge, and the key with its receipt; returns the answer's body. */
  async attestAndRelease(): Promise<string> {
    if (this.#connection?.isOpen !== true) {
      await this.connect();
      await this.bind();
    }
    const live = this.#live();
    const challenge = succeeded(await live.post('/v1/challenges', ''));
    const { nonce }: { readonly nonce: string } = JSON.parse(challenge);
    const { name: model, version } = this.#fleet.model;
    const bound = boundToAsk(live.exporter, { model, version, wraps });
    const evidence = this.#prover.evidence('bound-release', parseBase64url(nonce, 'nonce'), bound);
    const ask = `{"model":"${model}","version":"${version}","wraps":${JSON.stringify(wraps)},"evidence":${evidence}}`;
    return succeeded(await live.post('/v1/releases', ask, headers));
  }

  /** The cheapest request of a bound device. */
  async challenge(): Promise<void> {
    succeeded(await this.#live().post('/v1/challenges', ''));
  }

  disconnect(): void {
    this.#connection?.close();
  }

  #live(): DeviceConnection {
    if (this.#connection === undefined) throw new DeviceFailure('connection-lost', 'this device is not connected');
    return this.#connection;
  }
}

/** The body of a successful answer. */
function succeeded({ status, body }: HttpAnswer): string {
  if (status === 200) return body;
  const { error }: { readonly error?: { readonly code?: string } } = JSON.parse(body);
  throw new DeviceFailure(error?.code ?? `status-${status}`, body.slice(0, 500));
}
