// `edgekeep reference predict`: reference values of a boot after an update, before any device has booted it.
import { writeFile } from 'node:fs/promises';
import { EVENT_LOG_BYTES_MAX, type EventLog, parseEventLog } from '@edgekeep/core/attest/event-log';
import { referenceValuesFromBoots } from '@edgekeep/core/attest/golden-boots';
import { IMAGE_BYTES_MAX } from '@edgekeep/core/attest/predict/portable-executable';
import { type FileChange, predictBoot, type Replacement, type TextChange } from '@edgekeep/core/attest/predict/predict';
import { encodeReferenceValues } from '@edgekeep/core/attest/reference-values';
import { parsePcrs, readBounded } from '../attest/input.ts';
import { type Command, exitCodes, UsageError } from '../command.ts';
import { termsHelp, termsOf, termsOptions } from '../attest/reference-terms.ts';

export const command: Command = {
  usage:
    'reference predict LOG… --name NAME --version VERSION --out FILE [--replace OLD=NEW]… [--text OLD=NEW]… [--pcrs LIST] [--lowest-version V] [--not-before TIME] [--not-after TIME] [--product NAME]… [--group NAME]… [--tag KEY=VALUE]…',
  help: `
LOG is the log of a boot before the update, as for \`edgekeep attest reference\`. Writes the reference values of the boot after it: publish them
before the update; the old ones of the name count until the grace time ends (attestation.supersededGraceSeconds). An option that no event of the log explains is refused.

--replace OLD=NEW  a file of the boot, before and after the update: a kernel, an initrd, a loader, a configuration of GRUB, or a unified kernel image (its sections too); may be repeated
--text OLD=NEW     replaces text in the commands and command lines that GRUB executes, for example a kernel's version; write OLD=>NEW if the text contains =; may be repeated
--name NAME        lower-case letters, digits, dots, dashes; at most 64
--version VERSION  the version of what boots after the update
--out FILE         where to write; - for standard output
--pcrs LIST        for example 0,2,4,7 or 0-7 (default: as for edgekeep attest reference)
${termsHelp}
`,
  positionals: { min: 1, max: 64 },
  options: {
    replace: { type: 'string', multiple: true },
    text: { type: 'string', multiple: true },
    name: { type: 'string' },
    version: { type: 'string' },
    out: { type: 'string' },
    pcrs: { type: 'string' },
    ...termsOptions,
  },
  async run(args) {
    const files = await Promise.all(args.all('replace').map(readChange));
    const texts = args.all('text').map(textChange);
    if (files.length + texts.length === 0) throw new UsageError('--replace or --text is missing: nothing changes');
    const list = args.option('pcrs');
    const order = {
      name: args.required('name'),
      version: args.required('version'),
      pcrs: list === undefined ? undefined : parsePcrs(list),
      terms: termsOf(args),
    };
    const out = args.required('out');
    const boots: EventLog[] = [];
    const replaced: Replacement[] = [];
    for (const path of args.positionals) {
      const log = parseEventLog(await readBounded(path, EVENT_LOG_BYTES_MAX));
      const prediction = predictBoot(log.events, files, texts);
      boots.push({ ...log, events: prediction.events });
      replaced.push(...prediction.replaced);
    }
    const { values } = referenceValuesFromBoots(boots, order);
    const bytes = encodeReferenceValues(values);
    const stdoutTaken = out === '-';
    if (stdoutTaken) process.stdout.write(bytes);
    else await writeFile(out, bytes);
    const lines = [
      `${values.name} ${values.version}: ${values.events.length} events, ${replaced.length} foretold, written to ${out}`,
      ...replaced.map(({ pcr, event, by }) => `PCR ${pcr}, event ${event}: ${by}`),
    ];
    const value = { file: out, events: values.events.length, replaced };
    return { exitCode: exitCodes.ok, value, text: lines.join('\n'), stdoutTaken };
  },
};

async function readChange(text: string): Promise<FileChange> {
  const { before, after } = pair('--replace', text);
  return {
    name: after,
    before: await readBounded(before, IMAGE_BYTES_MAX),
    after: await readBounded(after, IMAGE_BYTES_MAX),
  };
}

// A text of a command line has `=` in it: `=>` divides then.
function textChange(text: string): TextChange {
  return pair('--text', text);
}

function pair(option: string, text: string): { readonly before: string; readonly after: string } {
  const at = text.indexOf('=>') === -1 ? text.indexOf('=') : text.indexOf('=>');
  const before = text.slice(0, Math.max(at, 0));
  const after = text.slice(at + (text.startsWith('=>', at) ? 2 : 1));
  if (at < 1 || after === '') throw new UsageError(`${option}: expected OLD=NEW, or OLD=>NEW, found ${text}`);
  return { before, after };
}
