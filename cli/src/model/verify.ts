// `edgekeep model verify`: a bundle of any OpenSSF Model Signing v1.0 implementation, or a plain signature over one file.
import { counted } from '@edgekeep/core/counted';
import { readFile } from 'node:fs/promises';
import { BUNDLE_LENGTH_MAX } from '@edgekeep/core/model/signature/bundle';
import { verifyDetached } from '@edgekeep/core/model/signature/detached';
import type { SignatureRefused } from '@edgekeep/core/model/signature/reason';
import type { SignatureTrust } from '@edgekeep/core/model/signature/verify';
import { verifyModelFiles } from '@edgekeep/wire/file/model-signing';
import { type Arguments, type Command, exitCodes, type Outcome, UsageError } from '../command.ts';
import { readBounded } from '../bounded-file.ts';
import { readPublicKey, readPublisherKey, readTrustRoots } from './key-files.ts';
import { ignoredPaths } from './signed-path.ts';

/** A folder with a million changed files is one message to a person. */
const reasonsShown = 20;

export const command: Command = {
  usage:
    'model verify PATH --signature FILE (--public-key PUB.pem | --trust-root CA.pem) [--ignore-path P]… [--ignore-unsigned-files] [--detached]',
  help: `
Exit code 0: a key you named, or a certificate under an authority you named and valid now, signed exactly the content of PATH.
Exit code 1: it did not; every reason is listed by its code (spec/model-signature.md). Exit code 3: not a signature at all.

--signature              the bundle
--public-key             PEM public key of the signer; with a second one, of ML-DSA-65, both must have signed
--trust-root             PEM certificates of the authorities to trust, for bundles that carry a certificate chain
--ignore-path            accept this unsigned file or folder; relative to PATH, may be repeated
--ignore-unsigned-files  accept every file that the signature does not list
--detached               PATH is one file and --signature a plain signature over it: ECDSA in DER with SHA-256, as
                         openssl dgst -sha256 -sign writes it, or the 64 bytes of Ed25519
`,
  positionals: { min: 1, max: 1 },
  options: {
    signature: { type: 'string' },
    'public-key': { type: 'string' },
    'trust-root': { type: 'string' },
    'ignore-path': { type: 'string', multiple: true },
    'ignore-unsigned-files': { type: 'boolean' },
    detached: { type: 'boolean' },
  },
  async run(args) {
    const [path = ''] = args.positionals;
    return args.flag('detached') ? verifyFile(path, args) : verifyModel(path, args);
  },
};

async function verifyModel(path: string, args: Arguments): Promise<Outcome> {
  const signature = args.required('signature');
  const trust = await readTrust(args);
  const verdict = await verifyModelFiles(path, {
    bundleBytes: await readBounded(signature, BUNDLE_LENGTH_MAX),
    trust,
    ignorePaths: await ignoredPaths(path, args.all('ignore-path'), signature),
    ignoreUnsignedFiles: args.flag('ignore-unsigned-files'),
  });
  if (verdict.kind === 'refused') return refusal(verdict);
  const { statement, signer } = verdict;
  const files = new Set(statement.resources.map((resource) => resource.path)).size;
  const value = { kind: 'verified', files, rootDigest: statement.rootDigest, signer };
  const by =
    signer.subject === undefined ? `key ${signer.keyFingerprint}` : `${signer.subject} (key ${signer.keyFingerprint})`;
  return { exitCode: exitCodes.ok, value, text: `verified: ${counted(files, 'file')}, signed by ${by}` };
}

async function readTrust(args: Arguments): Promise<SignatureTrust> {
  const publicKey = args.option('public-key');
  const trustRoot = args.option('trust-root');
  if (publicKey !== undefined && trustRoot === undefined)
    return { kind: 'keys', keys: [await readPublisherKey(publicKey)] };
  if (trustRoot !== undefined && publicKey === undefined) {
    return { kind: 'certificates', anchors: await readTrustRoots(trustRoot), atSeconds: Math.floor(Date.now() / 1000) };
  }
  throw new UsageError('give either --public-key or --trust-root');
}

async function verifyFile(path: string, args: Arguments): Promise<Outcome> {
  for (const option of ['trust-root', 'ignore-path']) {
    if (args.all(option).length > 0) throw new UsageError(`--${option} cannot be combined with --detached`);
  }
  const publicKey = await readPublicKey(args.required('public-key'));
  const signature = await readBounded(args.required('signature'), BUNDLE_LENGTH_MAX);
  const verdict = verifyDetached(await readFile(path), signature, publicKey);
  if (verdict.kind === 'refused') return refusal(verdict);
  return { exitCode: exitCodes.ok, value: verdict, text: `verified: ${path}` };
}

function refusal(verdict: SignatureRefused): Outcome {
  const lines = verdict.reasons.slice(0, reasonsShown).map(({ code, message }) => `  ${code}: ${message}`);
  const more = verdict.reasons.length - lines.length;
  if (more > 0) lines.push(`  and ${more} more`);
  return { exitCode: exitCodes.refused, value: verdict, text: ['does not verify:', ...lines].join('\n') };
}
