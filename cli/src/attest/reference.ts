// `attest reference`: reference values from the boot log of a machine that is known to be good.
import { writeFile } from 'node:fs/promises';
import { EVENT_LOG_BYTES_MAX, parseEventLog } from '@edgekeep/core/attest/event-log';
import { encodeReferenceValues, IMA_PCR, referenceValuesFromLog } from '@edgekeep/core/attest/reference-values';
import { replayEventLog } from '@edgekeep/core/attest/replay';
import { type Command, exitCodes } from '../command.ts';
import { parsePcrs, readBounded } from './input.ts';

export const command: Command = {
  usage: 'attest reference LOG --name NAME --version VERSION --out FILE [--pcrs LIST]',
  help: `
Writes reference values (spec/reference-values.md) that accept exactly the boot in LOG.

--name NAME        lower-case letters, digits, dots, dashes; at most 64
--version VERSION  the version of what boots, for example 1.4.0
--out FILE         where to write; - for standard output
--pcrs LIST        for example 0,2,4,7 or 0-7 (default: every PCR the log extends, except 10, which IMA extends)
`,
  positionals: { least: 1, most: 1 },
  options: { name: { type: 'string' }, version: { type: 'string' }, out: { type: 'string' }, pcrs: { type: 'string' } },
  async run(args) {
    const [path = ''] = args.positionals;
    const out = args.required('out');
    const log = parseEventLog(await readBounded(path, EVENT_LOG_BYTES_MAX));
    const list = args.option('pcrs');
    const pcrs = list === undefined ? extendedPcrs(replayEventLog(log, 'sha256').values.keys()) : parsePcrs(list);
    const values = referenceValuesFromLog(log, pcrs, args.required('name'), args.required('version'));
    const bytes = encodeReferenceValues(values);
    const stdoutTaken = out === '-';
    if (stdoutTaken) process.stdout.write(bytes);
    else await writeFile(out, bytes);
    const covered = [...new Set(values.events.map(({ pcr }) => pcr))].sort((a, b) => a - b);
    const text = `${values.name} ${values.version}: ${values.events.length} events on PCRs ${covered.join(',')}, written to ${out}`;
    return {
      exitCode: exitCodes.ok,
      value: { file: out, events: values.events.length, pcrs: covered },
      text,
      stdoutTaken,
    };
  },
};

function extendedPcrs(pcrs: Iterable<number>): readonly number[] {
  return [...pcrs].filter((pcr) => pcr !== IMA_PCR).sort((a, b) => a - b);
}
