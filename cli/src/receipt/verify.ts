// `edgekeep receipt verify`: was this key released correctly? Offline, with public keys alone.
import type { MakerRoots } from '@edgekeep/core/access/evidence-origin';
import {
  isLongReceipt,
  LONG_RECEIPT_BYTES_MAX,
  type LongReceiptSummary,
  verifyLongReceipt,
} from '@edgekeep/core/access/long-receipt';
import { parseVerifierKey } from '@edgekeep/core/audit/note';
import { groupedPolicy, witnessPolicy } from '@edgekeep/core/audit/quorum';
import { parseTlogPolicy } from '@edgekeep/core/audit/tlog-policy';
import { counted } from '@edgekeep/core/counted';
import { notProven } from '@edgekeep/core/access/receipt-limits';
import { BUNDLE_LENGTH_MAX } from '@edgekeep/core/model/signature/bundle';
import { MANIFEST_LENGTH_MAX } from '@edgekeep/core/model/manifest';
import { type DetachedModel, type ReceiptSummary, verifyReceipt } from '@edgekeep/core/access/receipt';
import {
  always,
  alwaysPublisher,
  alwaysLog,
  parseTrust,
  type Trust,
  TRUST_BYTES_MAX,
} from '@edgekeep/core/access/trust';
import { certifiedBy } from '../audit/certified-trust.ts';
import { quorumOf } from '../audit/verify.ts';
import { type Arguments, type Command, exitCodes, type Outcome, UsageError } from '../command.ts';
import { readBounded } from '../bounded-file.ts';
import { readMakers } from '../doctor/makers.ts';
import { readPublicKey, readPublisherKey } from '../model/key-files.ts';

const WITNESS_POLICY_BYTES_MAX = 16 * 1024 * 1024;

export const command: Command = {
  usage:
    'receipt verify FILE (--trust TRUST.json | --log-key VKEY --attestation-key PEM --publisher-key PEM) [--root PEM] [--witness VKEY]… [--quorum N] [--witness-policy FILE] [--refuse-weaker] [--manifest FILE] [--model-signature FILE] [--vendor-roots FILE|FOLDER]…',
  help: `
Proves from one file and public keys why a model key was released to a device. Needs no hub and no network.

  --trust FILE             keys, witnesses and quorum (edgekeep-trust/v2); the other options replace its values
  --root FILE              PEM certificate of the hub's root: takes logs and attestation keys from the key list in the trust file
                           that this root signed, and refuses a file that names others, or a list that is dated in the future by this machine's clock
  --log-key VKEY           the audit log's verifier key, name+id+base64
  --attestation-key FILE   PEM public key that signs attestation results; may be repeated
  --publisher-key FILE     PEM public key that signs models; may be repeated
  --witness VKEY           a witness whose cosignature counts; may be repeated
  --quorum N               how many witnesses must have cosigned (default: as in the trust file, or all that are given)
  --witness-policy FILE    witnesses and groups as C2SP tlog-policy writes them, in place of those of the trust file
  --refuse-weaker          refuses a receipt that the log itself names weaker, because its fleet could not meet the witness policy
  --manifest FILE          the model's manifest, where the receipt names it by digest only
  --model-signature FILE   the model's signature bundle (OMS), in the same case
  --vendor-roots PATH      roots and intermediates of hardware makers (PEM, DER, PKCS#7, or vendor-roots.json of a kit): with a long form,
                           verifies up to the maker of the device; may be repeated`,
  positionals: { min: 1, max: 1 },
  options: {
    trust: { type: 'string' },
    root: { type: 'string' },
    'log-key': { type: 'string' },
    'attestation-key': { type: 'string', multiple: true },
    'publisher-key': { type: 'string', multiple: true },
    witness: { type: 'string', multiple: true },
    quorum: { type: 'string' },
    'witness-policy': { type: 'string' },
    'refuse-weaker': { type: 'boolean' },
    manifest: { type: 'string' },
    'model-signature': { type: 'string' },
    'vendor-roots': { type: 'string', multiple: true },
  },
  async run(args): Promise<Outcome> {
    const [file = ''] = args.positionals;
    const trust = await readTrust(args);
    const certified = await certifiedBy(args.option('root'), trust);
    if (certified.kind === 'refused') return refused(file, certified.reasons);
    const bytes = await readBounded(file, LONG_RECEIPT_BYTES_MAX);
    const verdict = isLongReceipt(bytes)
      ? verifyLongReceipt(bytes, certified.trust, await readMakerRoots(args))
      : verifyReceipt(bytes, certified.trust, await readDetached(args));
    if (verdict.kind === 'refused') return refused(file, verdict.reasons);
    const text = describe(verdict.summary, certified.lines);
    return { exitCode: exitCodes.ok, value: { ...valueOf(verdict.summary), ...certified.value }, text };
  },
};

function refused(file: string, reasons: readonly string[]): Outcome {
  return {
    exitCode: exitCodes.refused,
    value: { kind: 'refused', reasons },
    text: [`refused: ${file}`, ...reasons.map((reason) => `  ${reason}`)].join('\n'),
  };
}

async function readMakerRoots(args: Arguments): Promise<MakerRoots | undefined> {
  const makers = await readMakers({ all: (name) => args.all(name), option: () => undefined });
  return makers && { tpm: makers.of.tpm, dice: makers.of.dice };
}

async function readTrust(args: Arguments): Promise<Trust> {
  const path = args.option('trust');
  const file = path === undefined ? undefined : parseTrust(await readBounded(path, TRUST_BYTES_MAX));
  const logKey = args.option('log-key');
  const attestation = args.all('attestation-key');
  const publishers = args.all('publisher-key');
  if (file === undefined && (logKey === undefined || attestation.length === 0 || publishers.length === 0)) {
    throw new UsageError('give --trust, or --log-key, --attestation-key and --publisher-key');
  }
  return {
    logs: logKey === undefined && file !== undefined ? file.logs : [alwaysLog(parseVerifierKey(logKey ?? ''))],
    attestationKeys: await keys(attestation, file?.attestationKeys),
    publisherKeys: await publisherKeys(publishers, file?.publisherKeys),
    ...(await readWitnesses(args, file)),
    keyList: file?.keyList,
  };
}

/** The witnesses that the options name, else those of the trust file. */
async function readWitnesses(args: Arguments, file: Trust | undefined): Promise<Pick<Trust, 'policy' | 'whenUnmet'>> {
  const whenUnmet = args.flag('refuse-weaker') ? 'refuse' : file?.whenUnmet;
  const path = args.option('witness-policy');
  const given = args.all('witness').map(parseVerifierKey);
  const quorum = args.option('quorum');
  if (path !== undefined) {
    if (given.length > 0 || quorum !== undefined)
      throw new UsageError('give --witness-policy, or --witness and --quorum, not both');
    const { witnesses, quorum: rule } = parseTlogPolicy(await readBounded(path, WITNESS_POLICY_BYTES_MAX));
    return { policy: groupedPolicy(witnesses, rule), whenUnmet: 'refuse' };
  }
  if (given.length === 0 && quorum === undefined && file !== undefined) return { policy: file.policy, whenUnmet };
  const witnesses = given.length > 0 ? given : (file?.policy.witnesses ?? []);
  return { policy: witnessPolicy(witnesses, quorumOf(quorum, witnesses.length)), whenUnmet: 'refuse' };
}

async function publisherKeys(paths: readonly string[], fromFile: Trust['publisherKeys'] = []) {
  return paths.length === 0 ? fromFile : (await Promise.all(paths.map(readPublisherKey))).map(alwaysPublisher);
}

async function keys(paths: readonly string[], fromFile: Trust['attestationKeys'] = []) {
  return paths.length === 0 ? fromFile : (await Promise.all(paths.map(readPublicKey))).map(always);
}

async function readDetached(args: Arguments): Promise<DetachedModel | undefined> {
  const manifest = args.option('manifest');
  const modelSignature = args.option('model-signature');
  if (manifest === undefined && modelSignature === undefined) return undefined;
  if (manifest === undefined || modelSignature === undefined) {
    throw new UsageError('--manifest and --model-signature go together');
  }
  return {
    manifest: await readBounded(manifest, MANIFEST_LENGTH_MAX),
    modelSignature: await readBounded(modelSignature, BUNDLE_LENGTH_MAX),
  };
}

type Summary = ReceiptSummary | LongReceiptSummary;

function valueOf(summary: Summary) {
  const { version, release, at, attestation, publisher, log } = summary;
  const { origin, size } = log.checkpoint;
  return {
    kind: 'verified',
    version,
    weaker: summary.weaker ?? null,
    at: new Date(at).toISOString(),
    ...release,
    status: attestation.status,
    pcrDigest: attestation.pcrDigest,
    publisher,
    log: { origin, index: log.index, size, cosignatures: log.cosignatures },
    verifiedEvidence: 'evidence' in summary ? evidenceValue(summary) : null,
    notProven: notProven(summary),
  };
}

function evidenceValue({ evidence: { origin, imaEntries, eventLogBytes } }: LongReceiptSummary) {
  const maker = origin.kind === 'verified' ? (origin.maker ?? null) : null;
  return { maker, eventLogBytes, imaEntries: imaEntries ?? null };
}

function describe(summary: Summary, more: readonly string[]): string {
  const { release, at, attestation, publisher, log } = summary;
  const { device, model, policy, lease } = release;
  const until = new Date(lease.notAfter * 1000).toISOString();
  const rows: readonly (readonly [string, string])[] = [
    ['released', new Date(at).toISOString()],
    ['device', `${device.id}, tier ${device.tier}, certificate ${device.certificate.slice(0, 16)}…`],
    ['boot', `${attestation.status}, PCR digest ${attestation.pcrDigest.slice(0, 16)}…, by ${attestation.policyId}`],
    ...evidenceRows(summary),
    ['model', `${model.name} ${model.version}, manifest ${model.manifestDigest.slice(0, 16)}…`],
    ['publisher', `${publisher.slice(0, 16)}…`],
    ...publisherRows(summary),
    ['policy', `${policy.name}, ${policy.digest.slice(0, 16)}…`],
    ['lease', `${lease.id}, until ${until}`],
    ...wrapRows(summary),
    ['log', `entry ${log.index} of ${log.checkpoint.size} in ${log.checkpoint.origin}`],
    ['witnesses', witnessText(summary)],
  ];
  return [
    'verified',
    ...rows.map(([name, text]) => `  ${name.padEnd(10)} ${text}`),
    ...more,
    'not proven',
    ...notProven(summary).map((text) => `  ${text}`),
  ].join('\n');
}

/** A hybrid wrap is said; a classical one is what there was before. */
function wrapRows({ release: { wrap, suite } }: Summary): readonly (readonly [string, string])[] {
  if (wrap === undefined || suite === undefined) return [];
  return [['wrap', `${wrap}: by the root of trust and ${suite}`]];
}

function publisherRows({ release: { releasePolicy: policy } }: Summary): readonly (readonly [string, string])[] {
  if (policy === undefined) return [];
  const { digest, maker, group } = policy;
  const by = [
    ...(maker === undefined ? [] : [`maker ${maker.slice(0, 16)}…`]),
    ...(group === undefined ? [] : [`group ${group}`]),
  ];
  return [['release', [`as the publisher permits, policy ${digest.slice(0, 16)}…`, ...by].join(', ')]];
}

function witnessText({ log, weaker }: Summary): string {
  if (weaker !== undefined) return `WEAKER RECEIPT: ${weaker}`;
  return log.cosignatures.map(({ witness }) => witness).join(', ') || 'none required, none found';
}

function evidenceRows(summary: Summary): readonly (readonly [string, string])[] {
  if (!('evidence' in summary)) return [];
  const { eventLogBytes, imaEntries, origin } = summary.evidence;
  const ima = imaEntries === undefined ? '' : `, ${counted(imaEntries, 'IMA entry', 'IMA entries')}`;
  return [
    ['evidence', `verified: signature, challenge, and the boot log of ${counted(eventLogBytes, 'byte')}${ima}`],
    ['maker', makerText(origin)],
  ];
}

function makerText(origin: LongReceiptSummary['evidence']['origin']): string {
  if (origin.kind === 'not-asked') return 'not verified: give --vendor-roots';
  const { maker, notes } = origin;
  const text =
    maker === undefined ? 'none' : `${maker.root}${maker.tpm === undefined ? '' : `, TPM ${maker.tpm.model}`}`;
  return [text, ...notes].join('; ');
}
