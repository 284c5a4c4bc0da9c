// The measured start of one boot: the next stage is written to a TCG event log, then extended into a PCR. The log is on disk first, so a
// crash between the two leaves a log one event ahead of the PCR; that is detected and repaired when the log is opened again. The other
// order would leave a PCR that no log explains.
import { makeFolder } from '@edgekeep/host/make-folder';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeEvent, encodeEventLogHeader, EVENT_LOG_BYTES_MAX, parseEventLog } from '@edgekeep/core/attest/event-log';
import { extend, pcrValue, type ReplayedLog, replayEventLog } from '@edgekeep/core/attest/replay';
import { type UserspaceRecord, valuesAfter } from '@edgekeep/core/attest/userspace-log';
import { concat, equalBytes } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { readEither, replaceBoth } from '@edgekeep/host/two-copies';
import { HardwareError } from '../error.ts';
import type { RootOfTrust } from '../root-of-trust.ts';
import { Serial } from '@edgekeep/host/serial';
import { bootIdPattern } from './boot-id.ts';

export interface BootLogOptions {
  readonly folder: string;
  /** This boot; logs of other boots in the folder are removed. */
  readonly bootId: string;
  readonly rootOfTrust: Pick<RootOfTrust, 'extend' | 'readPcrs'>;
  /** The crypto-agile log of the firmware, if the kernel has one: this log continues it. */
  readonly firmwareLog?: Uint8Array;
  /** What was measured behind the end of the log without an entry in it, by the system that the kernel started. */
  readonly measuredLater?: (log: ReplayedLog) => Promise<readonly UserspaceRecord[]>;
}

export interface Measurement {
  readonly pcr: number;
  /** TCG event type, see `eventTypes`. */
  readonly eventType: number;
  /** SHA-256 of what is measured. */
  readonly digest: Uint8Array;
  /** What the log says about it; for most types no digest covers it. */
  readonly event: Uint8Array;
}

/**
 * The result of opening: log and PCRs agree; or the last event had not been extended and now is; or the PCRs have values that no log
 * explains.
 */
export type BootLogCondition =
  | {
      readonly kind: 'consistent';
      /** PCRs that the system may extend after the boot, with values that nothing explains: the verifier that asks for them decides. */
      readonly extendedLater?: readonly number[];
    }
  | { readonly kind: 'repaired'; readonly pcr: number }
  | { readonly kind: 'inconsistent'; readonly pcrs: readonly number[] };

const suffix = '.eventlog';

/** The system that the kernel started measures into these, with a log or without one. */
const systemPcrs: ReadonlySet<number> = new Set([11, 12, 13, 15]);

export class BootLog {
  readonly condition: BootLogCondition;
  readonly #path: string;
  readonly #rootOfTrust: BootLogOptions['rootOfTrust'];
  readonly #serial = new Serial();
  #bytes: Uint8Array;
  #ahead = false;

  private constructor(
    path: string,
    rootOfTrust: BootLogOptions['rootOfTrust'],
    bytes: Uint8Array,
    condition: BootLogCondition,
  ) {
    this.#path = path;
    this.#rootOfTrust = rootOfTrust;
    this.#bytes = bytes;
    this.condition = condition;
  }

  /**
   * Opens the log of this boot, or starts it. Throws `boot-log-invalid` when the file or the firmware's log is not an event log with a
   * SHA-256 bank.
   */
  static async open({ folder, bootId, rootOfTrust, firmwareLog, measuredLater }: BootLogOptions): Promise<BootLog> {
    if (!bootIdPattern.test(bootId)) throw new HardwareError('boot-log-invalid', `not a boot identifier: ${bootId}`);
    await makeFolder(folder, { mode: 0o700 });
    const name = `${bootId}${suffix}`;
    for (const other of await readdir(folder)) {
      if ([suffix, `${suffix}.copy`].some((end) => other.endsWith(end)) && !other.startsWith(name))
        await rm(join(folder, other));
    }
    const path = join(folder, name);
    const bytes = (await readLog(path)) ?? firmwareLog ?? encodeEventLogHeader();
    const replayed = replay(path, bytes);
    const later = (await measuredLater?.(replayed)) ?? [];
    const condition = await reconcile(replayed, later, rootOfTrust);
    return new BootLog(path, rootOfTrust, bytes, condition);
  }

  /** The whole log, as evidence carries it. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Logs, then extends. When it rejects, the measured stage must not run, and the log must be opened again before the next event. */
  measure(measurement: Measurement): Promise<void> {
    return this.#serial.run(async () => {
      if (this.#ahead)
        throw new HardwareError('boot-log-invalid', 'an event was logged but not extended: open the log again');
      const longer = concat(this.#bytes, encodeEvent(measurement));
      if (longer.length > EVENT_LOG_BYTES_MAX) {
        throw new HardwareError('boot-log-invalid', `the log would be longer than ${EVENT_LOG_BYTES_MAX} bytes`);
      }
      await replaceBoth(this.#path, longer);
      this.#bytes = longer;
      this.#ahead = true;
      await this.#rootOfTrust.extend(measurement.pcr, measurement.digest);
      this.#ahead = false;
    });
  }
}

async function readLog(path: string): Promise<Uint8Array | undefined> {
  const found = await readEither(path, {
    parse: (bytes) => {
      replay(path, bytes);
      return bytes;
    },
    // Events are appended only.
    isNewer: (copy, file) => copy.length > file.length,
  });
  if (found.kind === 'damaged') {
    const { cause } = found;
    const message = `${path}: it is not an event log, and its second copy is no better: restart the device, which begins another`;
    throw new HardwareError('boot-log-invalid', message, { cause });
  }
  return found.kind === 'found' ? found.value : undefined;
}

/** Compares the log's replay with the PCRs, and extends the last event if only that one is missing there. */
async function reconcile(
  replayed: ReplayedLog,
  later: readonly UserspaceRecord[],
  rootOfTrust: BootLogOptions['rootOfTrust'],
): Promise<BootLogCondition> {
  const explained = valuesAfter(replayed, later);
  const touched = [...replayed.values.keys()].sort((a, b) => a - b);
  const actual = await rootOfTrust.readPcrs({ bank: 'sha256', pcrs: touched });
  const differing = touched.filter((pcr) => !equalBytes(actual.get(pcr) ?? new Uint8Array(0), explained(pcr)));
  const last = replayed.events.at(-1);
  const extendedLater = differing.filter((pcr) => systemPcrs.has(pcr) && pcr !== last?.pcr);
  const pcrs = differing.filter((pcr) => !extendedLater.includes(pcr));
  const [pcr] = pcrs;
  if (pcr === undefined) return { kind: 'consistent', ...(extendedLater.length === 0 ? {} : { extendedLater }) };
  const value = actual.get(pcr);
  if (pcrs.length > 1 || last === undefined || last.pcr !== pcr || value === undefined)
    return { kind: 'inconsistent', pcrs };
  if (!equalBytes(extend('sha256', value, last.digest), pcrValue(replayed, pcr))) return { kind: 'inconsistent', pcrs };
  await rootOfTrust.extend(pcr, last.digest);
  return { kind: 'repaired', pcr };
}

function replay(path: string, bytes: Uint8Array) {
  try {
    return replayEventLog(parseEventLog(bytes), 'sha256');
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new HardwareError('boot-log-invalid', `${path}: ${cause.message}`, { cause });
  }
}
