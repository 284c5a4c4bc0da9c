// Devices whose maker this hub does not know ask to enroll (spec/vendor-roots.md, "Unknown makers"): one alert for all of them. Strangers choose what
// they send, so a flood costs one write at its start and one a minute, and reads names of few certificates only.
import { parseBase64url } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { nameText } from '@edgekeep/core/identity/distinguished-name';
import { printable } from '@edgekeep/core/canonical/printable';
import { raiseAlert } from '../alert/alerts.ts';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import type { Database } from '../store/database.ts';

/** A device that was refused, with the certificate that its maker issued to it. */
export interface Knock {
  readonly deviceId: string;
  readonly address: string;
  /** DER, base64url, as it was sent. */
  readonly certificate: string | undefined;
}

const windowMs = 60_000;
const KNOWN_MAX = 16;
const NAME_CHARACTERS_MAX = 120;
const codes: ReadonlySet<string> = new Set([
  'endorsement-refused',
  'endorsement-certificate-missing',
  'endorsement-key-differs',
  'dice-path-refused',
  'idevid-authority-unknown',
]);

/** Whether this refusal of an enrollment says that the device has no path to a maker whose certificates the operator trusts. */
export function isUnknownMaker(error: unknown): boolean {
  return (
    error instanceof HubError &&
    error.code === 'enrollment-refused' &&
    error.reasons.some(({ code }) => codes.has(code))
  );
}

export class UnknownMakers {
  readonly #database: Pick<Database, 'writeAsHub'>;
  readonly #clock: Clock;
  readonly #devices = new Set<string>();
  readonly #addresses = new Set<string>();
  readonly #makers = new Set<string>();
  /** Since the last write. */
  #times = 0;
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(database: Pick<Database, 'writeAsHub'>, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  note({ deviceId, address, certificate }: Knock): void {
    this.#times += 1;
    if (this.#devices.size < KNOWN_MAX) this.#devices.add(deviceId);
    if (this.#addresses.size < KNOWN_MAX) this.#addresses.add(address);
    if (this.#makers.size < KNOWN_MAX) this.#makers.add(makerNamed(certificate));
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => void this.flush(), windowMs).unref();
    this.#tell();
  }

  /** Ends the window: what came since its first knock is added to the alert. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#times > 0) this.#tell();
    await this.#writing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
  }

  #tell(): void {
    const times = this.#times;
    const [first = ''] = this.#devices;
    const [maker = ''] = this.#makers;
    const data = { devices: [...this.#devices], addresses: [...this.#addresses], makers: [...this.#makers] };
    for (const each of [this.#devices, this.#addresses, this.#makers]) each.clear();
    this.#times = 0;
    const nowMs = this.#clock();
    const more = times === 1 ? '' : `, and ${times - 1} more times`;
    const written = this.#database
      .writeAsHub((trx) =>
        raiseAlert(trx, {
          kind: 'unknown-maker',
          severity: 'low',
          subject: { part: 'enrollment' },
          title: `a device of a maker that this hub does not know asked to enroll: ${first}, by ${maker}${more}`,
          data,
          times,
          nowMs,
        }),
      )
      // If a count cannot be written, it is lost; the metric of refused attempts and the log have it.
      .catch(() => undefined);
    this.#writing = Promise.all([this.#writing, written]).then(() => undefined);
  }
}

function makerNamed(certificate: string | undefined): string {
  if (certificate === undefined) return 'no certificate';
  try {
    const { issuer } = parseForeignCertificate(parseBase64url(certificate, 'certificate'));
    return printable(nameText(issuer), NAME_CHARACTERS_MAX);
  } catch (error) {
    if (error instanceof CoreError) return 'a certificate that cannot be read';
    throw error;
  }
}
