// `edgekeep audit verify`: does the whole log match its checkpoint, and which witnesses cosigned it?
import { counted } from '@edgekeep/core/counted';
import { openCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { NOTE_BYTES_MAX, parseVerifierKey } from '@edgekeep/core/audit/note';
import { verifyQuorum, witnessPolicy } from '@edgekeep/core/audit/quorum';
import { toBase64 } from '@edgekeep/core/bytes';
import { type Command, exitCodes, type Outcome, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { openLogSource } from './log-source.ts';
import { verifyLog } from './verify-log.ts';

export const command: Command = {
  usage: 'audit verify DIR|URL|hub --key VKEY [--origin TEXT] [--witness VKEY]… [--quorum N] [--hashes-only]',
  help: `
Reads a log in the c2sp.org/tlog-tiles layout, from a folder or from a web server, recomputes its root hash from every
entry, compares every tile, and verifies the checkpoint's signatures.

  --key VKEY       the log's verifier key, name+id+base64
  --origin TEXT    the checkpoint's first line (default: the key's name)
  --witness VKEY   a witness whose cosignature counts; may be repeated
  --quorum N       how many witnesses must have cosigned (default: all that are given)
  --hashes-only    start from the tiles of level 0 and leave the entries out: all that a hub shows to the public

With the word hub in place of a URL it reads the log of the operator file's hub, including entries, which needs the scope audit:read.
${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: {
    key: { type: 'string' },
    origin: { type: 'string' },
    witness: { type: 'string', multiple: true },
    quorum: { type: 'string' },
    'hashes-only': { type: 'boolean' },
    ...operatorOption,
  },
  async run(args): Promise<Outcome> {
    const [place = ''] = args.positionals;
    const key = parseVerifierKey(args.required('key'));
    const policy = witnessPolicy(
      args.all('witness').map(parseVerifierKey),
      quorumOf(args.option('quorum'), args.all('witness').length),
    );
    const source = openLogSource(place, place === 'hub' ? await openOperator(args) : undefined);

    const note = await source.read('checkpoint', NOTE_BYTES_MAX);
    if (note === undefined) return refused(place, ['there is no checkpoint']);
    const opened = openCheckpoint(note, key, args.option('origin') ?? key.name);
    if (opened.kind === 'refused') return refused(place, opened.reasons);
    const quorum = verifyQuorum(opened.note, policy);
    if (quorum.kind === 'refused') return refused(place, quorum.reasons);

    const { checkpoint } = opened;
    const hashesOnly = args.flag('hashes-only');
    const verdict = await verifyLog(source, checkpoint, { hashesOnly, progress: progressTo(checkpoint.size) });
    if (verdict.kind === 'refused') return refused(place, verdict.reasons);
    const root = toBase64(checkpoint.root);
    const { tiles, bundles } = verdict;
    return {
      exitCode: exitCodes.ok,
      value: {
        kind: 'verified',
        origin: checkpoint.origin,
        size: checkpoint.size,
        root,
        tiles,
        bundles,
        cosignatures: quorum.cosignatures,
      },
      text: [
        `verified: ${checkpoint.origin}, ${counted(checkpoint.size, 'entry', 'entries')}, root ${root}`,
        `  ${hashesOnly ? '' : `${counted(bundles, 'entry bundle')} and `}${counted(tiles, 'tile')} match the signed root${hashesOnly ? '; entries were not read' : ''}`,
        ...quorum.cosignatures.map(
          ({ witness, seconds }) => `  cosigned by ${witness} at ${new Date(seconds * 1000).toISOString()}`,
        ),
      ].join('\n'),
    };
  },
};

/** How many witnesses `--quorum` requires; all of them when it is not given. */
export function quorumOf(text: string | undefined, witnesses: number): number {
  if (text === undefined) return witnesses;
  const quorum = /^[0-9]{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (!(quorum <= witnesses))
    throw new UsageError(`--quorum ${text}: expected a number up to the ${witnesses} witnesses`);
  return quorum;
}

function refused(place: string, reasons: readonly string[]): Outcome {
  return {
    exitCode: exitCodes.refused,
    value: { kind: 'refused', reasons },
    text: [`refused: ${place}`, ...reasons.map((reason) => `  ${reason}`)].join('\n'),
  };
}

/** For long logs, shows progress on a terminal about once a second. */
function progressTo(size: number): (verified: number) => void {
  const everyMs = 1000;
  let next = Date.now() + everyMs;
  return (verified) => {
    if (!process.stderr.isTTY || Date.now() < next) return;
    next = Date.now() + everyMs;
    process.stderr.write(`  ${verified} of ${size} entries (${Math.floor((100 * verified) / size)} %)\n`);
  };
}
