// `attest reference`: reference values from the boot logs of machines that are known to be good.
import { writeFile } from 'node:fs/promises';
import { uncoveredBoot } from '@edgekeep/core/attest/boot-coverage';
import { EVENT_LOG_BYTES_MAX, parseEventLog } from '@edgekeep/core/attest/event-log';
import { type GoldenBoots, referenceValuesFromBoots } from '@edgekeep/core/attest/golden-boots';
import { encodeReferenceValues } from '@edgekeep/core/attest/reference-values';
import { type Command, exitCodes, UsageError } from '../command.ts';
import { termsHelp, termsOf, termsOptions } from './reference-terms.ts';
import { parsePcrs, readBounded } from './input.ts';

export const command: Command = {
  usage:
    'attest reference LOG… --name NAME --version VERSION --out FILE [--pcrs LIST] [--stage-pcr PCR] [--lowest-version V] [--not-before TIME] [--not-after TIME] [--product NAME]… [--group NAME]… [--tag KEY=VALUE]…',
  help: `
Writes reference values (spec/reference-values.md) that accept the boot in LOG; with several logs, of devices of one kind, the boots of all of
them. The output names the PCRs that are left out because they differ between devices, and what differs in the others.

--name NAME        lower-case letters, digits, dots, dashes; at most 64
--version VERSION  the version of what boots, for example 1.4.0
--out FILE         where to write; - for standard output
--pcrs LIST        for example 0,2,4,7 or 0-7 (default: 0, 2, 4, 7 and 14, with 8 and 9 for GRUB or 11 for a unified kernel image)
--stage-pcr PCR    14 or 15: expects the agent's stages there, not in the PCR of LOG (docs/design/stage-pcr.md)
${termsHelp}
`,
  positionals: { min: 1, max: 64 },
  options: {
    name: { type: 'string' },
    version: { type: 'string' },
    out: { type: 'string' },
    pcrs: { type: 'string' },
    'stage-pcr': { type: 'string' },
    ...termsOptions,
  },
  async run(args) {
    const out = args.required('out');
    const list = args.option('pcrs');
    const order = {
      name: args.required('name'),
      version: args.required('version'),
      pcrs: list === undefined ? undefined : parsePcrs(list),
      terms: termsOf(args),
      stagePcr: stagePcrOption(args.option('stage-pcr')),
    };
    const logs = [];
    for (const path of args.positionals) logs.push(parseEventLog(await readBounded(path, EVENT_LOG_BYTES_MAX)));
    const golden = referenceValuesFromBoots(logs, order);
    const bytes = encodeReferenceValues(golden.values);
    const stdoutTaken = out === '-';
    if (stdoutTaken) process.stdout.write(bytes);
    else await writeFile(out, bytes);
    return { exitCode: exitCodes.ok, stdoutTaken, ...reportOf(golden, out) };
  },
};

function stagePcrOption(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (text !== '14' && text !== '15') throw new UsageError(`--stage-pcr: expected 14 or 15, found ${text}`);
  return Number(text);
}

function reportOf({ values, leftOut, notes }: GoldenBoots, file: string) {
  const { events, startupLocality = 0 } = values;
  const pcrs = [...new Set(events.map(({ pcr }) => pcr))].sort((a, b) => a - b);
  const notCovered = uncoveredBoot(values);
  const start = pcrs.includes(0) && startupLocality > 0 ? `, PCR 0 from locality ${startupLocality}` : '';
  const lines = [
    `${values.name} ${values.version}: ${events.length} events on PCRs ${pcrs.join(',')}${start}, written to ${file}`,
    ...leftOut.map(({ pcr, why }) => `left out: PCR ${pcr} (${why})`),
    ...notes.map((note) => `note: ${note}`),
    ...(notCovered.length === 0 ? [] : [`warning: not covered: ${notCovered.join(', ')}`]),
  ];
  const value = { file, events: events.length, pcrs, startupLocality, leftOut, notes, notCovered };
  return { value, text: lines.join('\n') };
}
