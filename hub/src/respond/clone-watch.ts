// A certificate and its key shown by somebody who does not have the root of trust they were issued for (spec/presence.md, "Clones"): an alert
// that names his address and the genuine device's, and what the settings say shall follow. However often he tries, log and store stay small.
import type { AlertSeverity } from '@edgekeep/wire/api/alert';
import { Budgets } from '../budget.ts';
import { appendEntry } from '../audit/append.ts';
import type { Clock } from '../clock.ts';
import type { Reason } from '../error.ts';
import { raiseAlert } from '../alert/alerts.ts';
import { type Fleet, quarantineDevice } from './quarantine.ts';
import type { HubSettings } from '../settings.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { DeviceConnection } from '../presence/connections.ts';
import { networkOf } from '../presence/places.ts';
import { presenceOf } from '../presence/read.ts';
import { revoke } from './revoke.ts';
import { asHub } from '../store/authority.ts';

// The first attempts are entries of their own, then one each minute that says how many there were.
const entryRate = { perSecond: 1 / 60, burstSeconds: 600 };
// What is counted in between is written this often.
const countedEveryMs = 1_000;

/** What these reasons say: the evidence is not of the registered root of trust, or not of this connection. Any other fault is the device's own. */
const cloneReasons: Readonly<Record<string, string>> = {
  'signature-invalid': 'but not its root of trust',
  'signer-unexpected': 'but not its root of trust',
  'tier-mismatch': 'but not its root of trust',
  'not-a-quote': 'and shows something else than a quote of its root of trust',
  'qualifying-data-mismatch': 'and replays evidence that was made for another connection',
  'reset-count-decreased': 'and a TPM in the state of an earlier boot: a virtual TPM was copied or set back',
};
const unproven: Reason = {
  code: 'root-of-trust-not-shown',
  message: 'and asks without having proven its root of trust',
};

export interface CloneWatchParts extends Fleet {
  readonly rule: HubSettings['identity']['onClone'];
  readonly clock: Clock;
}

type Certificate = NonNullable<DeviceConnection['certificate']>;

export class CloneWatch {
  readonly #parts: CloneWatchParts;
  readonly #entries = new Budgets(entryRate);
  /** Attempts by device and kind that were not written yet, and the newest of them. */
  readonly #counted = new Map<string, { times: number; attempt: Attempt }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: CloneWatchParts) {
    this.#parts = parts;
  }

  /** A bind with evidence that is not the device's own. */
  async bindRefused(connection: DeviceConnection, reasons: readonly Reason[]): Promise<void> {
    const { certificate, remoteAddress: address } = connection;
    if (certificate === undefined) return;
    const reason = reasons.find(({ code }) => Object.hasOwn(cloneReasons, code)) ?? reasons[0];
    await this.#note({ certificate, address, reason: reason ?? { code: 'unknown', message: 'no reason' } });
    if (reason !== undefined && Object.hasOwn(cloneReasons, reason.code)) await this.#respond(certificate, address);
  }

  /** A request on a connection with a certificate that nobody bound, or a bind that is no evidence at all; an alert only from elsewhere than the device. */
  async askedUnbound({ certificate, remoteAddress: address }: DeviceConnection): Promise<void> {
    if (certificate !== undefined) await this.#note({ certificate, address, reason: unproven });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    await this.#flush();
  }

  async #note(attempt: Attempt): Promise<void> {
    const { database, clock } = this.#parts;
    // Apart from each other: knocking must not hide the entries of evidence that was refused.
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
    const { database, clock } = this.#parts;
    const counted = [...this.#counted.values()];
    this.#counted.clear();
    // A count that cannot be written is lost; the alert and its entries stand.
    await database
      .writeAsHub(async (trx) => {
        for (const { attempt, times } of counted) await alarm(trx, attempt, times, clock());
      })
      // As said above: the alert was written before.
      .catch(() => undefined);
  }

  async #respond({ deviceId, serial }: Certificate, address: string): Promise<void> {
    const { rule, clock } = this.#parts;
    const note = `its key was used from ${address} without its root of trust`;
    switch (rule) {
      case 'alert':
        return;
      case 'revoke': {
        const target = { kind: 'serials', serials: [serial] } as const;
        const order = { target, reason: 'keyCompromise', note, mayReturn: true, actor: 'hub', nowMs: clock() } as const;
        await asHub(() => revoke(this.#parts, order));
        return;
      }
      case 'quarantine':
        await asHub(() => quarantineDevice(this.#parts, { deviceId, reason: note, actor: 'hub', nowMs: clock() }));
    }
  }
}

interface Attempt {
  readonly certificate: Certificate;
  readonly address: string;
  readonly reason: Reason;
}

const loggedMessageMost = 300;

async function recordRefusal(trx: WriteTransaction, attempt: Attempt, times: number, nowMs: number): Promise<void> {
  const { certificate, address, reason } = attempt;
  await appendEntry(trx, {
    at: nowMs,
    kind: 'bind-refused',
    actor: `address:${address}`,
    subject: `device:${certificate.deviceId}`,
    data: { reason: reason.message.slice(0, loggedMessageMost), ...(times === 1 ? {} : { times }) },
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
  const { places } = await presenceOf(trx, deviceId, nowMs);
  const lastAddress = device.bound_address === null ? [] : [device.bound_address];
  const genuine = [...new Set(places.length > 0 ? places.map((place) => place.address) : lastAddress)];
  const elsewhere = genuine.length > 0 && !genuine.some((known) => networkOf(known) === networkOf(address));
  const what = reason.code === unproven.code ? unproven.message : cloneReasons[reason.code];
  // A fault of the device's own, or an unbound request from where the device is: not a copy.
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
