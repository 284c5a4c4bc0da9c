// `edgekeep audit verify`: does the whole log match its checkpoint, and which witnesses cosigned it?
import { counted } from '@edgekeep/core/counted';
import { alwaysLog, parseTrust, TRUST_BYTES_MAX, type TrustedLog } from '@edgekeep/core/access/trust';
import { type Checkpoint, type CheckpointVerdict, openCheckpoint } from '@edgekeep/core/audit/checkpoint';
import {
  type ForeignLogKey,
  openForeignCheckpoint,
  openUnsignedCheckpoint,
  parseForeignLogKey,
} from '@edgekeep/core/audit/foreign-log';
import { NOTE_BYTES_MAX, parseVerifierKey } from '@edgekeep/core/audit/note';
import type { Cosignature } from '@edgekeep/core/audit/cosignature';
import { verifyQuorum, witnessPolicy } from '@edgekeep/core/audit/quorum';
import { toBase64 } from '@edgekeep/core/bytes';
import { readBounded } from '../bounded-file.ts';
import { type Arguments, type Command, exitCodes, type Outcome, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { type Certified, certifiedBy } from './certified-trust.ts';
import { HandOverReader, type LogRange, rangeText } from './hand-overs.ts';
import { openLogSource } from './log-source.ts';
import { verifyLog } from './verify-log.ts';

export const command: Command = {
  usage:
    'audit verify DIR|URL|hub [--key VKEY | --trust TRUST.json [--root PEM]] [--origin TEXT] [--witness VKEY]… [--quorum N] [--hashes-only]',
  help: `
Reads a log in the c2sp.org/tlog-tiles layout, from a folder or from a web server, recomputes its root hash from every
entry, compares every tile, and verifies the checkpoint's signatures. Where the log was handed over to another key, says which key signed
which entries, and verifies both sides: the entry that ended the former log and names the next one, and the former log's last checkpoint.

  --key VKEY       the log's verifier key, name+id+base64: Ed25519 (type 0x01), ECDSA (0x02), an RFC 6962 tree head (0x05, with
                   --hashes-only: the entries of such logs have another layout) or ML-DSA-44 (0x06); without it and --trust,
                   --origin and --witness: a log that is known by its witnesses alone
  --trust FILE     a trust file in its place: every key that signed a part of the log must be in it, with its time
  --root FILE      with --trust: PEM certificate of the hub's root, which must have signed the key list in the trust file
  --origin TEXT    the checkpoint's first line (default: the key's name)
  --witness VKEY   a witness whose cosignature counts; may be repeated
  --quorum N       how many witnesses must have cosigned (default: all that are given)
  --hashes-only    start from the tiles of level 0 and leave the entries out: all that a hub shows to the public

With the word hub in place of a URL it reads the log of the operator file's hub, including entries, which needs the scope audit:read.
${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: {
    key: { type: 'string' },
    trust: { type: 'string' },
    root: { type: 'string' },
    origin: { type: 'string' },
    witness: { type: 'string', multiple: true },
    quorum: { type: 'string' },
    'hashes-only': { type: 'boolean' },
    ...operatorOption,
  },
  async run(args): Promise<Outcome> {
    const [place = ''] = args.positionals;
    const given = await givenLogs(args);
    if (given.kind === 'refused') return refused(place, given.reasons);
    const policy = witnessPolicy(
      args.all('witness').map(parseVerifierKey),
      quorumOf(args.option('quorum'), args.all('witness').length),
    );
    const source = openLogSource(place, place === 'hub' ? await openOperator(args) : undefined);

    const note = await source.read('checkpoint', NOTE_BYTES_MAX);
    if (note === undefined) return refused(place, ['there is no checkpoint']);
    const opened = opening(given, args.option('origin'), note);
    const log = given.kind === 'given' ? logNamed(note, given.logs, args.option('origin')) : undefined;
    if (opened.kind === 'refused') return refused(place, opened.reasons);
    const quorum = verifyQuorum(opened.note, policy);
    if (quorum.kind === 'refused') return refused(place, quorum.reasons);
    if (log?.compromised === true && !quorum.cosignatures.some(({ seconds }) => seconds < (log.untilSeconds ?? 0)))
      return refused(place, [`the key of ${log.key.name} was stolen, and no given witness cosigned before its end`]);

    const hashesOnly = args.flag('hashes-only');
    const handOvers = new HandOverReader();
    const progress = progressTo(opened.checkpoint.size);
    const verdict = await verifyLog(source, opened.checkpoint, { hashesOnly, progress, handOvers });
    if (verdict.kind === 'refused') return refused(place, verdict.reasons);
    const { checkpoint } = opened;
    const { cosignatures } = quorum;
    const found = { ...verdict, checkpoint, cosignatures, hashesOnly };
    if (given.kind !== 'given' || log === undefined) return verified({ ...found, ranges: [], lines: [] });
    const known = given.from === 'trust' ? given.logs.map(({ key }) => key) : undefined;
    const ranges = handOvers.finish(opened.checkpoint.size, log.key, known);
    if (ranges.kind === 'refused') return refused(place, ranges.reasons);
    return verified({ ...found, ranges: ranges.ranges, lines: given.lines });
  },
};

interface GivenLogs {
  readonly kind: 'given';
  readonly from: 'key' | 'trust';
  /** One at least, oldest first. */
  readonly logs: readonly TrustedLog[];
  readonly lines: readonly string[];
}

/** A log of somebody else: by its own key, or known by its witnesses alone. */
type OtherLog = { readonly kind: 'foreign'; readonly key: ForeignLogKey } | { readonly kind: 'witnessed' };

type Given = GivenLogs | OtherLog | Extract<Certified, { kind: 'refused' }>;

function opening(given: GivenLogs | OtherLog, origin: string | undefined, note: Uint8Array): CheckpointVerdict {
  if (given.kind === 'foreign') return openForeignCheckpoint(note, given.key, origin);
  if (given.kind === 'witnessed') return openUnsignedCheckpoint(note, origin ?? '');
  const { key } = logNamed(note, given.logs, origin);
  return openCheckpoint(note, key, origin ?? key.name);
}

// Without the log's key the origin says which log it is, and at least one witness says what it holds.
function otherLog(args: Arguments): OtherLog | undefined {
  const text = args.option('key');
  if (text === undefined) {
    if (args.all('witness').length === 0 || args.option('origin') === undefined)
      throw new UsageError(
        'give --key or --trust; or --origin and --witness for a log that is known by its witnesses alone',
      );
    if (quorumOf(args.option('quorum'), args.all('witness').length) === 0)
      throw new UsageError('a log without a key needs a --quorum of at least 1');
    return { kind: 'witnessed' };
  }
  const key = parseForeignLogKey(text);
  if (key?.type === 'rfc6962' && !args.flag('hashes-only'))
    throw new UsageError('the entries of a log with a key of type 0x05 have another layout: add --hashes-only');
  return key === undefined ? undefined : { kind: 'foreign', key };
}

async function givenLogs(args: Arguments): Promise<Given> {
  const path = args.option('trust');
  if (path === undefined) {
    if (args.option('root') !== undefined) throw new UsageError('--root goes with --trust');
    const other = otherLog(args);
    if (other !== undefined) return other;
    return { kind: 'given', from: 'key', logs: [alwaysLog(parseVerifierKey(args.required('key')))], lines: [] };
  }
  if (args.option('key') !== undefined) throw new UsageError('give --key or --trust, not both');
  const certified = await certifiedBy(args.option('root'), parseTrust(await readBounded(path, TRUST_BYTES_MAX)));
  if (certified.kind === 'refused') return certified;
  return { kind: 'given', from: 'trust', logs: certified.trust.logs, lines: certified.lines };
}

/** The one with the checkpoint's name; else the newest, whose key then refuses the checkpoint. */
function logNamed(note: Uint8Array, logs: readonly TrustedLog[], origin: string | undefined): TrustedLog {
  const named = Buffer.from(note).toString('utf8').split('\n', 1)[0];
  const found = logs.find(({ key }) => (origin ?? key.name) === named) ?? logs.at(-1);
  if (found === undefined) throw new UsageError('the trust file names no log');
  return found;
}

interface Verified {
  readonly checkpoint: Checkpoint;
  readonly tiles: number;
  readonly bundles: number;
  readonly ranges: readonly LogRange[];
  readonly cosignatures: readonly Cosignature[];
  readonly hashesOnly: boolean;
  readonly lines: readonly string[];
}

function verified({ checkpoint, tiles, bundles, ranges, cosignatures, hashesOnly, lines }: Verified): Outcome {
  const { origin, size } = checkpoint;
  const root = toBase64(checkpoint.root);
  const logs = hashesOnly ? null : ranges.map((range) => ({ ...range, successor: range.successor ?? null }));
  return {
    exitCode: exitCodes.ok,
    value: { kind: 'verified', origin, size, root, tiles, bundles, logs, cosignatures },
    text: [
      `verified: ${origin}, ${counted(size, 'entry', 'entries')}, root ${root}`,
      `  ${hashesOnly ? '' : `${counted(bundles, 'entry bundle')} and `}${counted(tiles, 'tile')} match the signed root${hashesOnly ? '; entries were not read' : ''}`,
      ...(hashesOnly ? [] : rangeLines(ranges)),
      ...cosignatures.map(
        ({ witness, seconds }) => `  cosigned by ${witness} at ${new Date(seconds * 1000).toISOString()}`,
      ),
      ...lines,
    ].join('\n'),
  };
}

// A log that was never handed over is under the key that was given.
function rangeLines(ranges: readonly LogRange[]): readonly string[] {
  const [only] = ranges;
  if (only === undefined || (ranges.length === 1 && only.successor === undefined)) return [];
  return ranges.flatMap((range) => {
    const signed = `  ${rangeText(range)} signed by ${range.key}`;
    const { successor, to } = range;
    return successor === undefined ? [signed] : [signed, `    ended with entry ${to}, which names ${successor}`];
  });
}

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
