// A client shows a certificate and its key but not the root of trust that they were issued for (spec/presence.md, "Clones"). Raises an
// alert with the client's address and the genuine device's, and takes the action that the settings define. Log and store stay small for any
// number of attempts.
import { cutText } from '@edgekeep/core/canonical/printable';
import type { AlertSeverity } from '@edgekeep/wire/api/alert';
import { Budgets } from '../common/budget.ts';
import { appendEntry } from '../audit/append.ts';
import type { Clock } from '../common/clock.ts';
import type { Reason } from '../common/error.ts';
import { raiseAlert } from '../alert/alerts.ts';
import { type DisconnectDependencies, quarantineDevice } from './quarantine.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { DeviceConnection } from '../presence/connections.ts';
import { networkOf } from '@edgekeep/core/canonical/network-of';
import { presenceOf } from '../presence/read.ts';
import { revoke } from './revoke.ts';
import { asHub } from '../store/authority.ts';

// The first attempts get entries of their own; later ones share one entry each minute, with their number.
const entryRate = { perSecond: 1 / 60, burstSeconds: 600 };
// Attempts in between are written at this interval.
const countedEveryMs = 1_000;

/**
 * These reasons mean: the evidence is not from the registered root of trust, or not for this connection. Any other fault is the device's
 * own.
 */
const cloneReasons: Readonly<Record<string, string>> = {
  'signature-invalid': 'but not its root of trust',
  'signer-unexpected': 'but not its root of trust',
  'tier-mismatch': 'but not its root of trust',
  'not-a-quote': 'but shows no quote of its root of trust',
  'qualifying-data-mismatch': 'and replays evidence that was made for another connection',
  'reset-count-decreased':
    'and a TPM in the state of an earlier boot: a virtual TPM was copied or set back, or a TPM was cleared',
  'clock-decreased': 'and a TPM whose clock went back: a virtual TPM was copied or set back',
};
const unproven: Reason = {
  code: 'root-of-trust-not-shown',
  message: 'and asks without having proven its root of trust',
};

export interface CloneWatchDependencies extends DisconnectDependencies {
  readonly rule: 'alert' | 'revoke' | 'quarantine';
  readonly clock: Clock;
}

type Certificate = NonNullable<DeviceConnection['certificate']>;

export class CloneWatch {
  readonly #dependencies: CloneWatchDependencies;
  readonly #entries = new Budgets(entryRate);
  /** Attempts by device and kind that are not written yet, with the newest of them. */
  readonly #counted = new Map<string, { times: number; attempt: Attempt }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(dependencies: CloneWatchDependencies) {
    this.#dependencies = dependencies;
  }

  /** A bind with evidence that the device did not make. */
  async bindRefused(connection: DeviceConnection, reasons: readonly Reason[]): Promise<void> {
    const { certificate, remoteAddress: address } = connection;
    if (certificate === undefined) return;
    const reason = reasons.find(({ code }) => Object.hasOwn(cloneReasons, code)) ?? reasons[0];
    await this.#note({ certificate, address, reason: reason ?? { code: 'unknown', message: 'no reason' } });
    if (reason !== undefined && Object.hasOwn(cloneReasons, reason.code)) await this.#respond(certificate, address);
  }

  /**
   * A request on a connection whose certificate is not bound, or a bind without evidence; raises an alert only from another address than
   * the device's.
   */
  async askedUnbound({ certificate, remoteAddress: address }: DeviceConnection): Promise<void> {
    if (certificate !== undefined) await this.#note({ certificate, address, reason: unproven });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    await this.#flush();
  }

  async #note(attempt: Attempt): Promise<void> {
    const { database, clock } = this.#dependencies;
    // Counted separately: unbound requests must not hide the entries of refused evidence.
    const key = `${attempt.certificate.deviceId} ${attempt.reason === unproven ? 'asked' : 'bind'}`;
    const nowMs = clock();
    const times = (this.#counted.get(key)?.times ?? 0) + 1;
    if (!this.#entries.spend(key, nowMs)) {
      this.#counted.set(key, { times, attempt });
      this.#timer ??= setTimeout(() => void this.#flush(), countedEveryMs).unref();
      return;
    }
    this.#counted.delete(key);
    await database.writeAsHub(async (trx) => {
      if (attempt.reason !== unproven) await recordRefusal(trx, attempt, times, nowMs);
      await alarm(trx, attempt, times, nowMs);
    });
  }

  async #flush(): Promise<void> {
    this.#timer = undefined;
    const { database, clock } = this.#dependencies;
    const counted = [...this.#counted.values()];
    this.#counted.clear();
    // If a count cannot be written, it is lost; the alert and its entries stay.
    await database
      .writeAsHub(async (trx) => {
        for (const { attempt, times } of counted) await alarm(trx, attempt, times, clock());
      })
      // As above: the alert was written before.
      .catch(() => undefined);
  }

  async #respond({ deviceId, serial }: Certificate, address: string): Promise<void> {
    const { rule, clock } = this.#dependencies;
    const note = `its key was used from ${address} without its root of trust`;
    switch (rule) {
      case 'alert':
        return;
      case 'revoke': {
        const target = { kind: 'serials', serials: [serial] } as const;
        const order = { target, reason: 'keyCompromise', note, mayReturn: true, actor: 'hub', nowMs: clock() } as const;
        await asHub(() => revoke(this.#dependencies, order));
        return;
      }
      case 'quarantine':
        await asHub(() =>
          quarantineDevice(this.#dependencies, { deviceId, reason: note, actor: 'hub', nowMs: clock() }),
        );
    }
  }
}

interface Attempt {
  readonly certificate: Certificate;
  readonly address: string;
  readonly reason: Reason;
}

const LOGGED_MESSAGE_MAX = 300;

async function recordRefusal(trx: WriteTransaction, attempt: Attempt, times: number, nowMs: number): Promise<void> {
  const { certificate, address, reason } = attempt;
  await appendEntry(trx, {
    at: nowMs,
    kind: 'bind-refused',
    actor: `address:${address}`,
    subject: `device:${certificate.deviceId}`,
    data: { reason: cutText(reason.message, LOGGED_MESSAGE_MAX), ...(times === 1 ? {} : { times }) },
  });
}

async function alarm(trx: WriteTransaction, { certificate, address, reason }: Attempt, times: number, nowMs: number) {
  const { deviceId, serial, sha256 } = certificate;
  const device = await trx
    .selectFrom('device')
    .select(['bound_address', 'bound_at'])
    .where('id', '=', deviceId)
    .executeTakeFirst();
  if (device === undefined) return;
  const { sessions: places } = await presenceOf(trx, deviceId, nowMs);
  const lastAddress = device.bound_address === null ? [] : [device.bound_address];
  const genuine = [...new Set(places.length > 0 ? places.map((place) => place.address) : lastAddress)];
  const elsewhere = genuine.length > 0 && !genuine.some((known) => networkOf(known) === networkOf(address));
  const what = reason.code === unproven.code ? unproven.message : cloneReasons[reason.code];
  // A fault of the device's own, or an unbound request from the device's address: not a copy.
  if (what === undefined || (reason.code === unproven.code && !elsewhere)) return;
  const severity: AlertSeverity = elsewhere && reason.code !== unproven.code ? 'critical' : 'high';
  await raiseAlert(trx, {
    kind: 'clone',
    severity,
    subject: { deviceId },
    title: `somebody at ${address} has the operational key of ${deviceId}, ${what}`,
    data: {
      addresses: [address],
      genuineAddresses: genuine,
      genuineOnline: places.length > 0,
      ...(device.bound_at === null ? {} : { lastBoundAt: device.bound_at }),
      certificates: [serial],
      certificateSha256: sha256,
      reasons: [reason.code],
    },
    times,
    nowMs,
  });
}
