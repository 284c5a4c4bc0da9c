// Devices with the agent's own connection to the hub, including its recovery and backoff: how a fleet behaves when its hub goes away and
// comes back. Only the TPM's signatures are made in software (member.ts).
import { always } from '@edgekeep/core/access/trust';
import { Prover } from '@edgekeep/agent/attest/attest';
import { attest, type AttestationDependencies } from '@edgekeep/agent/hub/attestation';
import { type Bound, HubLink } from '@edgekeep/agent/hub/connection';
import { HubTime } from '@edgekeep/agent/hub/hub-time';
import { type IdentityDependencies, recover } from '@edgekeep/agent/hub/identity';
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import type { HubAddress } from './connection.ts';
import { DeviceFailure, type FailureCounts, Failures, mergeFailures } from './failures.ts';
import { type Boot, bootOf, describedTpm, type FleetFile, type Member, quoteOf } from './member.ts';

/** Events since the last `mark`. Times are Unix milliseconds. */
export interface Returned {
  /** When each device was bound again; other devices are missing. */
  readonly boundAtMs: readonly number[];
  /** When each knew what the hub makes of its boot, which an agent waits for before it asks for anything. */
  readonly attestedAtMs: readonly number[];
  /** How often a root of trust signed. */
  readonly quotes: number;
  /** The times of failed attempts. */
  readonly failedAtMs: readonly number[];
  /** Their reasons, and refusals of the hub, of which there must be none. */
  readonly failures: FailureCounts;
  readonly refusals: FailureCounts;
}

/** The sum over several parts of a fleet. */
export function mergeReturned(parts: readonly Returned[]): Returned {
  return {
    boundAtMs: parts.flatMap(({ boundAtMs }) => boundAtMs),
    attestedAtMs: parts.flatMap(({ attestedAtMs }) => attestedAtMs),
    quotes: parts.reduce((sum, { quotes }) => sum + quotes, 0),
    failedAtMs: parts.flatMap(({ failedAtMs }) => failedAtMs),
    failures: mergeFailures(parts.map(({ failures }) => failures)),
    refusals: mergeFailures(parts.map(({ refusals }) => refusals)),
  };
}

/** The agent's own defaults. */
const backoff = { firstDelayMs: 500, maxDelayMs: 60_000 };

export class ReturningFleet {
  readonly #fleet: FleetFile;
  readonly #hub: HubAddress;
  readonly #links: HubLink[] = [];
  readonly #attestationKey: KeyObject;
  #boundAtMs = new Map<string, number>();
  #failedAtMs: number[] = [];
  #failures = new Failures();
  #refusals = new Failures();
  #attestedAtMs = new Map<string, number>();
  #quotes = 0;
  #allAttested = Promise.withResolvers<void>();

  constructor(fleet: FleetFile, hub: HubAddress) {
    this.#fleet = fleet;
    this.#attestationKey = createPublicKey(fleet.attestationKey);
    this.#hub = hub;
  }

  /** Power returns to a whole site: every device starts within this many seconds, none with a certificate. */
  powerOn(withinSeconds: number): void {
    const boots = this.#fleet.boots.map((text) => {
      const log = Buffer.from(text, 'base64');
      return { log, boot: bootOf(log) };
    });
    for (const member of this.#fleet.members) {
      const measured = boots[member.boot];
      if (measured === undefined) throw new Error(`the fleet file has no boot log ${member.boot}`);
      const start = () => this.#links.push(this.#linkOf(member, measured.boot, measured.log));
      setTimeout(start, Math.random() * withinSeconds * 1_000);
    }
  }

  /** Resets the counts. */
  mark(): void {
    this.#boundAtMs = new Map();
    this.#failedAtMs = [];
    this.#failures = new Failures();
    this.#refusals = new Failures();
    this.#attestedAtMs = new Map();
    this.#quotes = 0;
    this.#allAttested = Promise.withResolvers();
  }

  /** Resolves when every device has attested since the mark, or after this many seconds. */
  async settled(maxSeconds: number): Promise<Returned> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise((resolve) => (timer = setTimeout(resolve, maxSeconds * 1_000)));
    await Promise.race([this.#allAttested.promise, tooLate]);
    clearTimeout(timer);
    return {
      boundAtMs: [...this.#boundAtMs.values()],
      attestedAtMs: [...this.#attestedAtMs.values()],
      quotes: this.#quotes,
      failedAtMs: this.#failedAtMs,
      failures: this.#failures.counts,
      refusals: this.#refusals.counts,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#links.map((link) => link[Symbol.asyncDispose]()));
  }

  #linkOf(member: Member, boot: Boot, eventLog: Uint8Array): HubLink {
    const { id } = member;
    const rootOfTrust = signingOnly(member, boot, () => (this.#quotes += 1));
    const prover = new Prover({ rootOfTrust, eventLog: () => eventLog, imaLogFile: undefined });
    const clocks = { clock: Date.now, elapsed: () => performance.now() };
    const hubTime = new HubTime(clocks);
    const identity: IdentityDependencies = {
      deviceId: id,
      hub: this.#fleet.logOrigin,
      rootOfTrust,
      prover,
      clocks,
      hubTime,
    };
    const { host, port } = this.#hub;
    const link = new HubLink({
      hub: { host, port, serverName: this.#fleet.serverName },
      authorities: () => [this.#fleet.root],
      generalAuthority: () => 'accepted',
      prover,
      acquire: (channel) => recover(channel, identity),
      renew: () => Promise.reject(new Error('nothing lives long enough here to be renewed')),
      onConnected: (bound) => {
        this.#boundAtMs.set(id, Date.now());
        void this.#attest(bound, { deviceId: id, link, prover, keys: [always(this.#attestationKey)], clock: Date.now });
      },
      onDisconnected: () => undefined,
      onRenewed: () => undefined,
      onRefused: (step, { code }) => this.#refusals.count(new DeviceFailure(code, step)),
      onFailed: (error) => this.#failed(error),
      backoff,
      clocks,
      hubTime,
      random: Math.random,
    });
    return link;
  }

  async #attest(bound: Bound, dependencies: AttestationDependencies): Promise<void> {
    try {
      const answer = await attest(dependencies, bound);
      if (answer.kind === 'refused') return this.#refusals.count(new DeviceFailure(answer.code, 'attestation'));
      this.#attestedAtMs.set(dependencies.deviceId, Date.now());
      if (this.#attestedAtMs.size === this.#fleet.members.length) this.#allAttested.resolve();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#failedAtMs.push(Date.now());
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unexpected';
    this.#failures.count(new DeviceFailure(code, String(error)));
  }
}

function signingOnly(
  member: Member,
  boot: Boot,
  onQuote: () => void,
): Pick<RootOfTrust, 'tier' | 'attest' | 'describe' | 'activateCredential' | 'openKey'> {
  const sign = quoteOf(member.attestationKey, boot);
  const absent = () => Promise.reject(new Error('nothing here enrolls'));
  return {
    tier: 'tpm',
    attest: async (qualifyingData, { pcrs }) => {
      onQuote();
      return { kind: 'tpm', ...sign(qualifyingData, pcrs) };
    },
    describe: async () => describedTpm(member),
    activateCredential: absent,
    openKey: absent,
  };
}
