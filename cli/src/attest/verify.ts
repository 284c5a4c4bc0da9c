// `attest verify`: a quote in the files of tpm2_quote, or an agent's answer, against key, nonce, boot log and reference values.
import { namedAbsent } from '@edgekeep/core/attest/absent-evidence';
import { EVENT_LOG_BYTES_MAX, parseEventLog } from '@edgekeep/core/attest/event-log';
import { matchBoot } from '@edgekeep/core/attest/boot-match';
import { imaPcrValues, IMA_LOG_BYTES_MAX, parseImaLog } from '@edgekeep/core/attest/ima-log';
import { verifyQuote } from '@edgekeep/core/attest/quote';
import type { Reason } from '@edgekeep/core/attest/reason';
import { standingsOf } from '@edgekeep/core/attest/reference-standing';
import { IMA_PCR, parseReferenceValues, REFERENCE_VALUES_BYTES_MAX } from '@edgekeep/core/attest/reference-values';
import { pcrValue, type ReplayedLog, replayEventLog } from '@edgekeep/core/attest/replay';
import { parseHex, toHex } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { readCertificateFile } from '@edgekeep/core/identity/certificate-file';
import { parseAttest } from '@edgekeep/core/tpm/attest';
import { type Arguments, type Command, exitCodes, type Outcome, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { parsePcrs, readBounded } from './input.ts';
import { attestationKeyAt, resultTrustAt } from './known-device.ts';
import { readAttestationKey, readSignature } from './signed-files.ts';
import { type AttestationExpectations, verifyAttestation } from './verify-attestation.ts';

const SIGNED_BYTES_MAX = 4096; // a quote has about 150 bytes, an RSA-4096 signature 518
const KEY_BYTES_MAX = 16 * 1024;
const ROOTS_BYTES_MAX = 1024 * 1024;
/** A PCR of the sha256 bank that was never extended. */
const pcrAtReset = new Uint8Array(32);

export const command: Command = {
  usage:
    'attest verify (--attestation FILE | --quote FILE --signature FILE [--event-log FILE]) [--ima-log FILE] (--key FILE | --device ID) [--nonce HEX | --max-age SECONDS] [--reference FILE]… [--pcrs LIST] [--qualified-name HEX] [--dice-root FILE]…',
  help: `
Takes an agent's answer to GET /attest?nonce=HEX, or the files of tpm2_quote -m and -s (signature in the tss or plain form).
Exit code 0: verified; 1: refused, with every reason. Offline, but for --device, which asks the hub.

--attestation FILE     the agent's answer, - for standard input; --nonce is then the nonce of that request. Without one: the answer of a
                       device's door to GET /attest, whose nonce follows from the hub's result in it; needs --device
--device ID            take the device's attestation key from the hub, by its name, and the hub's keys for results
--max-age SECONDS      how old the hub's result may be that the nonce follows from (default: 3600)
--quote FILE           TPMS_ATTEST
--signature FILE       TPMT_SIGNATURE, or plain: ECDSA in DER, RSASSA bare, both with SHA-256
--key FILE             the attestation key: PEM, TPM2B_PUBLIC or TPMT_PUBLIC (then its attributes are verified too);
                       of a DICE device the DeviceID key or certificate, PEM
--nonce HEX            the qualifying data the quote must carry, or for --attestation the nonce that you chose
--event-log FILE       TCG boot log that must replay to the quoted PCRs; without it the boot is not checked
--ima-log FILE         IMA log, binary, that must replay to the quoted PCR 10; entries measured after the quote are left out
                       (/sys/kernel/security/ima/binary_runtime_measurements); needs --event-log or --attestation where the quote
                       covers other PCRs too
--reference FILE       reference values (spec/reference-values.md); may be repeated for several acceptable boots; needs --event-log or --attestation.
                       A set that has ended or has not begun is refused; for which devices it is, you decide
--pcrs LIST            PCRs of the sha256 bank that must be quoted, as 0,2,7-9 (default: those of the quote)
--qualified-name HEX   the key's qualified name, as tpm2_readpublic -q writes it; without it the signer's name is not compared
--dice-root FILE       PEM, DER or PKCS #7: roots that the chain of a DICE device may end at; may be repeated
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: {
    attestation: { type: 'string' },
    quote: { type: 'string' },
    signature: { type: 'string' },
    key: { type: 'string' },
    nonce: { type: 'string' },
    'event-log': { type: 'string' },
    'ima-log': { type: 'string' },
    reference: { type: 'string', multiple: true },
    pcrs: { type: 'string' },
    'qualified-name': { type: 'string' },
    'dice-root': { type: 'string', multiple: true },
    device: { type: 'string' },
    'max-age': { type: 'string' },
    ...operatorOption,
  },
  async run(args) {
    const attestation = args.option('attestation');
    if (attestation !== undefined) return verifyAttestation(attestation, await expectationsOf(args));
    const extra = ['device', 'max-age'].find((name) => args.option(name) !== undefined);
    if (extra !== undefined) throw new UsageError(`--${extra} goes with --attestation`);
    return verifyQuoteFiles(args);
  },
};

async function expectationsOf(args: Arguments): Promise<AttestationExpectations> {
  const extra = ['quote', 'signature', 'event-log'].find((name) => args.option(name) !== undefined);
  if (extra !== undefined) throw new UsageError(`--${extra} cannot be combined with --attestation, which has its own`);
  return {
    ...(await keyAndNonce(args)),
    qualifiedName: optionalHex(args, 'qualified-name'),
    pcrs: optionalPcrs(args),
    imaLog: await readImaLog(args),
    references: (pcrs) => readReferences(args, pcrs),
    diceRoots: await readRoots(args.all('dice-root')),
    atSeconds: Math.floor(Date.now() / 1_000),
  };
}

async function keyAndNonce(args: Arguments): Promise<Pick<AttestationExpectations, 'key' | 'nonce'>> {
  const [device, key, nonce] = [args.option('device'), args.option('key'), args.option('nonce')];
  if ((device === undefined) === (key === undefined)) throw new UsageError('give either --key or --device');
  if (nonce !== undefined && args.option('max-age') !== undefined)
    throw new UsageError('--max-age is for an answer without a nonce of your own: leave out --nonce');
  const nonceBytes = nonce === undefined ? undefined : parseHex(nonce, '--nonce');
  if (device === undefined) {
    if (nonceBytes === undefined)
      throw new UsageError('--nonce is missing; without it, --device names whose answer it is');
    return { key: await readBounded(args.required('key'), KEY_BYTES_MAX), nonce: nonceBytes };
  }
  const hub = await openOperator(args);
  return {
    key: await attestationKeyAt(hub, device),
    nonce: nonceBytes ?? (await resultTrustAt(hub, device, maxAgeOf(args.option('max-age')))),
  };
}

function maxAgeOf(text = '3600'): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--max-age takes a number of seconds, not ${text}`);
  return Number(text);
}

async function readRoots(files: readonly string[]): Promise<readonly Certificate[]> {
  const read = await Promise.all(
    files.map(async (path) => {
      const found = readCertificateFile(await readBounded(path, ROOTS_BYTES_MAX), path);
      const [problem] = found.problems;
      if (problem !== undefined) throw new CoreError('certificate-invalid', problem);
      if (found.certificates.length === 0) throw new CoreError('certificate-invalid', `${path}: no certificate in it`);
      return found.certificates;
    }),
  );
  return read.flat();
}

function optionalHex(args: Arguments, name: string): Uint8Array | undefined {
  const text = args.option(name);
  return text === undefined ? undefined : parseHex(text, `--${name}`);
}

function optionalPcrs(args: Arguments): readonly number[] | undefined {
  const list = args.option('pcrs');
  return list === undefined ? undefined : parsePcrs(list);
}

async function verifyQuoteFiles(args: Arguments): Promise<Outcome> {
  const quote = await readBounded(args.required('quote'), SIGNED_BYTES_MAX);
  const publicKey = readAttestationKey(await readBounded(args.required('key'), KEY_BYTES_MAX));
  const signature = readSignature(await readBounded(args.required('signature'), SIGNED_BYTES_MAX), publicKey);
  const nonce = parseHex(args.required('nonce'), '--nonce');
  const qualifiedName = optionalHex(args, 'qualified-name');
  const pcrs = optionalPcrs(args) ?? quotedPcrs(quote);
  const replayed = await readLog(args);
  const imaValues = await readImaValues(args, replayed, pcrs);
  const verdict = verifyQuote(quote, signature, {
    key: { publicKey, qualifiedName },
    qualifyingData: nonce,
    pcrs,
    pcrValue: valueOfPcr(replayed, imaValues),
    imaValues,
  });
  if (verdict.kind === 'refused') {
    const sent = { events: replayed?.events ?? [], hasImaLog: imaValues !== undefined };
    const named = (reason: Reason) => (replayed === undefined ? reason : namedAbsent(reason, pcrs, sent));
    return refused(verdict.reasons.map(named));
  }
  const match = replayed === undefined ? undefined : matchBoot(replayed, await readReferences(args, pcrs), pcrs);
  if (match !== undefined && match.reasons.length > 0) return refused(match.reasons);
  const { pcrDigest, clockInfo, qualifiedSigner } = verdict.attest;
  const matched = match === undefined ? undefined : `${match.referenceValues.name} ${match.referenceValues.version}`;
  const { resetCount, restartCount } = clockInfo;
  const value = {
    verified: true,
    pcrs,
    pcrDigest: toHex(pcrDigest),
    qualifiedSigner: toHex(qualifiedSigner),
    resetCount,
    restartCount,
    imaEntries: verdict.imaEntries ?? null,
    referenceValues: matched ?? null,
  };
  const lines = [
    'verified: signature, nonce and PCR selection',
    `pcrs: sha256:${pcrs.join(',')} digest ${value.pcrDigest}`,
    `signer: ${value.qualifiedSigner}${qualifiedName === undefined ? ' (not compared; give --qualified-name)' : ''}`,
    `boot: reset ${resetCount}, restart ${restartCount}`,
    replayed === undefined ? 'event log: not given, the boot is not checked' : 'event log: replays to the quoted PCRs',
    ...imaLines(verdict.imaEntries, imaValues),
    `reference values: ${matched ?? 'not given, any boot is accepted'}`,
  ];
  return { exitCode: exitCodes.ok, value, text: lines.join('\n') };
}

// A quote of PCR 10 alone is explained by the IMA log alone: nothing extends it before the kernel does.
function valueOfPcr(replayed: ReplayedLog | undefined, imaValues: readonly Uint8Array[] | undefined) {
  if (replayed !== undefined) return (pcr: number) => pcrValue(replayed, pcr);
  return imaValues === undefined ? 'unchecked' : () => pcrAtReset;
}

// The quote's own selection: its signature is verified later, and the selection is shown.
function quotedPcrs(quote: Uint8Array): readonly number[] {
  const attest = parseAttest(quote);
  return attest.kind === 'quote' ? (attest.selections.find(({ bank }) => bank === 'sha256')?.pcrs ?? []) : [];
}

async function readLog(args: Arguments): Promise<ReplayedLog | undefined> {
  const path = args.option('event-log');
  if (path !== undefined) return replayEventLog(parseEventLog(await readBounded(path, EVENT_LOG_BYTES_MAX)), 'sha256');
  if (args.all('reference').length > 0) throw new UsageError('--reference needs --event-log');
  return undefined;
}

async function readImaLog(args: Arguments): Promise<Uint8Array | undefined> {
  const path = args.option('ima-log');
  return path === undefined ? undefined : readBounded(path, IMA_LOG_BYTES_MAX);
}

async function readImaValues(args: Arguments, replayed: ReplayedLog | undefined, pcrs: readonly number[]) {
  const bytes = await readImaLog(args);
  if (bytes === undefined) return undefined;
  if (!pcrs.includes(IMA_PCR))
    throw new UsageError(`--ima-log is not used here: the quote does not cover PCR ${IMA_PCR}`);
  if (replayed === undefined && pcrs.length > 1)
    throw new UsageError('--ima-log needs --event-log here: the quote covers other PCRs too');
  const start = replayed === undefined ? pcrAtReset : pcrValue(replayed, IMA_PCR);
  return imaPcrValues(parseImaLog(bytes), 'sha256', IMA_PCR, start);
}

function imaLines(quoted: number | undefined, values: readonly Uint8Array[] | undefined): readonly string[] {
  if (quoted === undefined || values === undefined) return [];
  return [`IMA log: ${quoted} of ${values.length - 1} entries replay to the quoted PCR ${IMA_PCR}`];
}

async function readReferences(args: Arguments, pcrs: readonly number[]) {
  const files = args.all('reference');
  return Promise.all(
    files.map(async (path) => {
      const values = parseReferenceValues(await readBounded(path, REFERENCE_VALUES_BYTES_MAX), pcrs);
      const { former } = standingsOf([{ set: values, publishedAtMs: 0 }], () => true, {
        nowMs: Date.now(),
        graceMs: 0,
      });
      const [reason] = former;
      if (reason !== undefined) throw new UsageError(`--reference ${path}: its values do not count: ${reason.why}`);
      return values;
    }),
  );
}

function refused(reasons: readonly Reason[]): Outcome {
  const text = ['refused:', ...reasons.map(({ code, message }) => `  ${code}: ${message}`)].join('\n');
  return { exitCode: exitCodes.refused, value: { verified: false, reasons }, text };
}
