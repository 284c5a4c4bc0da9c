// `attest replay`: the PCR values that result from a boot log, in the layout of tpm2_eventlog's `pcrs` section.
import { toHex } from '@edgekeep/core/bytes';
import { describeEventData } from '@edgekeep/core/attest/event-data/describe';
import { EVENT_LOG_BYTES_MAX, type LogBank, type LoggedEvent, parseEventLog } from '@edgekeep/core/attest/event-log';
import { eventTypeName } from '@edgekeep/core/attest/event-type';
import { type BankGap, replayBanks, replayEventLog } from '@edgekeep/core/attest/replay';
import { type Command, exitCodes, UsageError } from '../command.ts';
import { readBounded } from './input.ts';

const banks: readonly LogBank[] = ['sha1', 'sha256', 'sha384', 'sha512'];

export const command: Command = {
  usage: 'attest replay LOG [--bank BANK] [--events]',
  help: `
LOG is a TCG event log, SHA-1 or crypto-agile, such as /sys/kernel/security/tpm0/binary_bios_measurements.

A bank in the header for which some event has no digest is reported as not replayed; the others are shown.

--bank BANK   sha1, sha256, sha384 or sha512 (default: every bank of the log)
--events      show the events too: number, PCR, type, and what their data says; no digest covers the data of many types, so an attacker
              may have written it
`,
  positionals: { min: 1, max: 1 },
  options: { bank: { type: 'string' }, events: { type: 'boolean' } },
  async run(args) {
    const [path = ''] = args.positionals;
    const wanted = args.option('bank');
    const named = banks.find((bank) => bank === wanted);
    if (wanted !== undefined && named === undefined)
      throw new UsageError(`no bank ${wanted}; known are ${banks.join(', ')}`);
    const log = parseEventLog(await readBounded(path, EVENT_LOG_BYTES_MAX));
    const { replayed, gaps } =
      named === undefined ? replayBanks(log) : { replayed: [replayEventLog(log, named)], gaps: [] };
    const events = args.flag('events') ? log.events.map(eventView) : undefined;
    const lines = [...(events === undefined ? [] : ['events:', ...events.map(eventLine)]), 'pcrs:'];
    const value: Record<string, Record<string, string>> = {};
    for (const { bank, values } of replayed) {
      const ascending = [...values].sort(([a], [b]) => a - b);
      if (ascending.length > 0) lines.push(`  ${bank}:`); // as tpm2_eventlog: a bank nothing was measured in is not shown
      lines.push(...ascending.map(([pcr, bytes]) => `    ${String(pcr).padEnd(2)} : 0x${toHex(bytes)}`));
      value[bank] = Object.fromEntries(ascending.map(([pcr, bytes]) => [String(pcr), toHex(bytes)]));
    }
    if (gaps.length > 0) lines.push('not replayed:', ...gaps.map((gap) => `  ${gap.bank}: ${gapText(gap)}`));
    const notReplayed = Object.fromEntries(gaps.map((gap) => [gap.bank, gapText(gap)]));
    // If no bank replays, none of the requested values was shown.
    const exitCode = replayed.length === 0 && gaps.length > 0 ? exitCodes.refused : exitCodes.ok;
    return {
      exitCode,
      value: { ...(events === undefined ? {} : { events }), pcrs: value, notReplayed },
      text: lines.join('\n'),
    };
  },
};

interface EventView {
  readonly index: number;
  readonly pcr: number;
  readonly type: string;
  readonly description: string;
}

function eventView({ index, pcr, eventType, event }: LoggedEvent): EventView {
  return { index, pcr, type: eventTypeName(eventType), description: describeEventData(eventType, event) };
}

function eventLine({ index, pcr, type, description }: EventView): string {
  return `  ${String(index).padEnd(3)} ${String(pcr).padEnd(2)} ${type} ${description}`.trimEnd();
}

function gapText({ bank, index, type }: BankGap): string {
  return `event ${index} (${type}) has no ${bank} digest`;
}
