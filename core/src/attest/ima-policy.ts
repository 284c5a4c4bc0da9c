// The files that may run, be loaded or be read as root on a device whose kernel measures them (IMA): reads, writes and opens an IMA policy.
// Format: spec/ima-policy.md.
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { parseBase64url } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseSpki } from '../identity/public-key.ts';
import { encodeCanonicalJson, parseCanonicalJson } from '../json.ts';
import { PathPatterns } from './ima-path-pattern.ts';
import { ImaFileKey } from './ima-signature.ts';

export const IMA_POLICY_BYTES_MAX = 24 * 1024 * 1024;
const FILES_MAX = 200_000;
const DIGESTS_MAX = 64; // builds of one file
const PATH_BYTES_MAX = 4_096; // PATH_MAX of Linux
const PATTERNS_MAX = 256;
const KEYS_MAX = 16;
const BUFFERS_MAX = 1_024;

const digest = z.string().regex(/^(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/);
const digests = z.array(digest).min(1).max(DIGESTS_MAX);
const setName = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/);
const bufferName = z.string().regex(/^[.A-Za-z0-9][A-Za-z0-9._:-]{0,255}$/);
const path = z.string().startsWith('/').max(PATH_BYTES_MAX);

const schema = z.strictObject({
  type: z.literal('edgekeep-ima-policy/v1'),
  name: setName,
  version: z.string().regex(/^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$/),
  for: z.array(setName).min(1).max(64).optional(),
  files: z.record(path, digests),
  excludes: z.array(z.string()).max(PATTERNS_MAX).optional(),
  keys: z
    .array(z.strictObject({ id: z.string().regex(/^[0-9a-f]{8}$/), key: z.string().max(2_048) }))
    .max(KEYS_MAX)
    .optional(),
  buffers: z.record(bufferName, digests).optional(),
  ignoredBuffers: z
    .array(bufferName.or(z.literal('*')))
    .max(BUFFERS_MAX)
    .optional(),
});

export type ImaPolicy = z.infer<typeof schema>;

/** A policy whose patterns and keys were read. */
export interface OpenedImaPolicy {
  readonly name: string;
  readonly version: string;
  /** Names of the reference values whose boots it is for; undefined for every boot. */
  readonly boots: readonly string[] | undefined;
  readonly files: ReadonlyMap<string, readonly string[]>;
  readonly excludes: PathPatterns;
  readonly keys: readonly ImaFileKey[];
  readonly buffers: ReadonlyMap<string, readonly string[]>;
  readonly ignoredBuffers: ReadonlySet<string>;
}

/** Throws `ima-policy-invalid`, `json-not-canonical` or `bytes-too-long`. */
export function parseImaPolicy(bytes: Uint8Array): ImaPolicy {
  if (bytes.length > IMA_POLICY_BYTES_MAX) {
    throw new CoreError(
      'bytes-too-long',
      `IMA policy: ${bytes.length} bytes, at most ${IMA_POLICY_BYTES_MAX} are allowed`,
    );
  }
  const policy = parseCanonicalJson(bytes, schema, 'IMA policy', 'ima-policy-invalid');
  openImaPolicy(policy);
  return policy;
}

export function encodeImaPolicy(policy: ImaPolicy): Uint8Array {
  const bytes = encodeCanonicalJson({ ...policy });
  parseImaPolicy(bytes);
  return bytes;
}

/** Throws `ima-policy-invalid` for a policy that accepts everything, and for patterns and keys that cannot be used. */
export function openImaPolicy(policy: ImaPolicy): OpenedImaPolicy {
  const { name, version, files, excludes = [], keys = [], buffers = {}, ignoredBuffers = [] } = policy;
  const paths = Object.keys(files);
  if (paths.length > FILES_MAX) throw invalid(policy, `${paths.length} files, at most ${FILES_MAX} are allowed`);
  if (Object.keys(buffers).length > BUFFERS_MAX) throw invalid(policy, `more than ${BUFFERS_MAX} buffers`);
  if (paths.length === 0 && keys.length === 0) throw invalid(policy, 'it names no file and no key');
  const patterns = new PathPatterns(excludes);
  // Programs and libraries are where every system has them: what excludes them excludes everything that matters.
  const everything = ['bin/x', 'lib/x/x.so']
    .map((each) => `/usr/${each}`)
    .filter((each) => patterns.matches(each, { left: 1_000_000 }));
  if (everything.length > 0)
    throw invalid(policy, `its excludes match ${everything.join(' and ')}: it constrains nothing`);
  return {
    name,
    version,
    boots: policy.for,
    files: new Map(Object.entries(files)),
    excludes: patterns,
    keys: keys.map(({ id, key }) => new ImaFileKey(fileKeyOf(policy, key), id)),
    buffers: new Map(Object.entries(buffers)),
    ignoredBuffers: new Set(ignoredBuffers),
  };
}

function fileKeyOf(policy: ImaPolicy, text: string): KeyObject {
  const key = parseSpki(parseBase64url(text, 'key'));
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const isRsa = type === 'rsa' && (details?.modulusLength ?? 0) >= 2_048;
  const isEc = type === 'ec' && ['prime256v1', 'secp384r1', 'secp521r1'].includes(details?.namedCurve ?? '');
  if (isRsa || isEc) return key;
  throw invalid(policy, 'a key is neither RSA of 2048 bits or more nor on P-256, P-384 or P-521');
}

function invalid({ name, version }: Pick<ImaPolicy, 'name' | 'version'>, problem: string): CoreError {
  return new CoreError('ima-policy-invalid', `IMA policy ${name} ${version}: ${problem}`);
}
