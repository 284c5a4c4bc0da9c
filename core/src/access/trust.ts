// What a verifier of receipts must trust: public keys, each with its time, and a quorum (spec/receipt.md, "Trust file"). A hub serves its
// own; a verifier who does not want to trust the hub keeps an earlier copy, or has the root's signature on the keys checked.
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { classicalPart, encodeVerifierKey, parseVerifierKey, type VerifierKey } from '../audit/note.ts';
import { groupedPolicy, POLICY_WITNESSES_MAX, type WitnessPolicy, witnessPolicy } from '../audit/quorum.ts';
import { parseTlogPolicy } from '../audit/tlog-policy.ts';
import {
  type KeyList,
  keyIdOf,
  keysFor,
  type KeyValidity,
  logKeyOf,
  openKeyList,
  signedKeyListSchema,
} from '../authority/key-list.ts';
import { futureProblems } from '../authority/key-list-follow.ts';
import { utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import type { Certificate } from '../identity/certificate.ts';
import { encodePublicKeyPem, parsePublicKeyPem } from '../identity/public-key.ts';
import { encodeCanonicalJson, parseJson } from '../json.ts';
import { encodePublisherKey, parsePublisherKey, type PublisherKey } from '../model/signature/publisher-key.ts';
import { signatureAlgorithmOf } from '../signer.ts';

/** A log's key; its name is the log's origin. */
export interface TrustedLog extends KeyValidity {
  readonly key: VerifierKey;
}

export interface TrustedKey extends KeyValidity {
  readonly publicKey: KeyObject;
}

export interface TrustedPublisher extends KeyValidity, PublisherKey {
  /** Of a publisher with an end: SHA-256, hex, of the manifests that were published before it. They count after it, too. */
  readonly manifests?: readonly string[] | undefined;
}

export const whenUnmetChoices = ['refuse', 'name-weaker'] as const;
export type WhenUnmet = (typeof whenUnmetChoices)[number];

export interface Trust {
  /** The audit log and those before it, oldest first. */
  readonly logs: readonly TrustedLog[];
  /** Keys that sign attestation results. */
  readonly attestationKeys: readonly TrustedKey[];
  /** Keys that sign models. */
  readonly publisherKeys: readonly TrustedPublisher[];
  /** The fleet's witnesses and how many must have cosigned. */
  readonly policy: WitnessPolicy;
  /**
   * What becomes of a receipt whose entry says that the fleet could not meet the policy: it is refused (also when left out), or it verifies
   * and is named a weaker one.
   */
  readonly whenUnmet?: WhenUnmet | undefined;
  /** The signed key list that names logs and attestation keys; undefined when the root has signed none. */
  readonly keyList?: Uint8Array | undefined;
}

/** Room for the vkeys of the largest fleet, of which each device has one of Ed25519 and one of ML-DSA-44. */
export const TRUST_BYTES_MAX = 256 * 1024 * 1024;

/** All that one publisher published before its end. */
const PUBLISHER_MANIFESTS_MAX = 100_000;

/** A line for each device, and one for each group of them. */
const WITNESS_POLICY_CHARACTERS_MAX = 128 * 1024 * 1024;

/** Of a key about which nothing is known but that it is trusted. */
const unlimited: KeyValidity = { fromSeconds: 0, untilSeconds: undefined, compromised: false };

/** A key that is trusted at any time: one that a reader was given without dates. */
export function always(publicKey: KeyObject): TrustedKey {
  return { publicKey, ...unlimited };
}

/** The same for a publisher. */
export function alwaysPublisher(key: PublisherKey): TrustedPublisher {
  return { ...key, ...unlimited };
}

/** The same for a log. */
export function alwaysLog(key: VerifierKey): TrustedLog {
  return { key, ...unlimited };
}

// Room for a publisher's classical key with an ML-DSA-87 key, and for a verifier key of ML-DSA-44.
const pem = z.string().max(8192);
const vkey = z.string().max(4096);
const fleet = { witnesses: z.array(vkey).max(POLICY_WITNESSES_MAX), quorum: z.int().nonnegative() };
const count = z.int().min(0).max(POLICY_WITNESSES_MAX);
const rule = {
  witnessPolicy: z.strictObject({
    /** C2SP tlog-policy. */
    text: z.string().max(WITNESS_POLICY_CHARACTERS_MAX),
    whenUnmet: z.enum(whenUnmetChoices),
    ended: z.record(z.string().max(300), z.int().nonnegative()),
    /** Nothing meets it, so something is required. */
    unreachable: z.strictObject({ required: count.min(1), available: count }).nullable(),
  }),
};
const validity = {
  from: z.int().nonnegative(),
  until: z.int().nonnegative().nullable(),
  compromised: z.boolean().default(false),
};
const timed = z.strictObject({ key: pem, ...validity });
const keys = {
  type: z.literal('edgekeep-trust/v2'),
  logs: z
    .array(z.strictObject({ key: vkey, ...validity }))
    .min(1)
    .max(64),
  attestationKeys: z.array(timed).min(1).max(64),
  publisherKeys: z.array(timed).min(1).max(256),
  keyList: signedKeyListSchema.nullable(),
};
const endedPublisher = z.strictObject({
  ...timed.shape,
  manifests: z
    .array(z.string().regex(/^[0-9a-f]{64}$/))
    .max(PUBLISHER_MANIFESTS_MAX)
    .nullable(),
});
const keysWithEnds = {
  ...keys,
  type: z.literal('edgekeep-trust/v3'),
  publisherKeys: z.array(endedPublisher).min(1).max(256),
};
const schema = z.union([
  z.strictObject({ ...keysWithEnds, ...rule }),
  z.strictObject({ ...keysWithEnds, ...fleet }),
  z.strictObject({ ...keys, ...rule }),
  z.strictObject({ ...keys, ...fleet }),
  z.strictObject({
    type: z.literal('edgekeep-trust/v1'),
    log: vkey,
    attestationKeys: z.array(pem).min(1).max(16),
    publisherKeys: z.array(pem).min(1).max(256),
    ...fleet,
  }),
]);

/** Reads a trust file, also one of the version before, whose keys have no times; throws `json-schema`, `key-invalid` or an encoding code. */
export function parseTrust(bytes: Uint8Array): Trust {
  if (bytes.length > TRUST_BYTES_MAX) {
    throw new CoreError('bytes-too-long', `a trust file of ${bytes.length} bytes, at most ${TRUST_BYTES_MAX} are read`);
  }
  const file = parseJson(bytes, schema, 'trust file');
  const policy = policyOf(file);
  if (file.type === 'edgekeep-trust/v1') {
    return {
      logs: [alwaysLog(parseLogKey(file.log))],
      attestationKeys: file.attestationKeys.map((key) => always(parsePublicPem(key))),
      publisherKeys: file.publisherKeys.map((key) => ({ ...parsePublisherPem(key), ...unlimited })),
      policy,
    };
  }
  const keyOf = ({ key, ...times }: z.infer<typeof timed>): TrustedKey => {
    return { publicKey: parsePublicPem(key), ...validityOf(times) };
  };
  return {
    logs: file.logs.map(({ key, ...times }) => ({ key: parseLogKey(key), ...validityOf(times) })),
    attestationKeys: file.attestationKeys.map(keyOf),
    publisherKeys: file.publisherKeys.map(({ key, ...times }) => ({
      ...parsePublisherPem(key),
      ...validityOf(times),
      ...('manifests' in times && times.manifests !== null && { manifests: times.manifests }),
    })),
    policy,
    ...('witnessPolicy' in file && { whenUnmet: file.witnessPolicy.whenUnmet }),
    keyList: file.keyList === null ? undefined : encodeCanonicalJson(file.keyList),
  };
}

function policyOf(file: z.infer<typeof schema>): WitnessPolicy {
  if (!('witnessPolicy' in file)) {
    const policy = witnessPolicy(file.witnesses.map(parseVerifierKey), file.quorum);
    return file.type === 'edgekeep-trust/v1' ? { ...policy, countsReceiver: true } : policy;
  }
  const { text, ended, unreachable } = file.witnessPolicy;
  const { witnesses, quorum } = parseTlogPolicy(utf8(text));
  const endedSeconds = new Map(Object.entries(ended));
  return groupedPolicy(witnesses, quorum, { endedSeconds, unreachable: unreachable ?? undefined });
}

/** The members of a trust file that name keys, as JSON has them. */
export type TrustKeys = Readonly<Record<string, unknown>>;

/** The member of a trust file that names the fleet's witnesses, as JSON has it. */
export interface TrustWitnessPolicy {
  readonly witnessPolicy: z.infer<typeof rule.witnessPolicy>;
}

/** Joins both, indented: people read it. */
export function encodeTrustFile(keys: TrustKeys, fleet: TrustWitnessPolicy | TrustWitnesses): Uint8Array {
  return utf8(`${JSON.stringify({ ...keys, ...fleet }, null, 2)}\n`);
}

/** Everything but the witnesses and their policy. Of version 3 only where a publisher has an end: readers of before read the others. */
export function trustKeys(trust: Omit<Trust, 'policy' | 'whenUnmet'>): TrustKeys {
  const { logs, attestationKeys, publisherKeys, keyList } = trust;
  const withEnds = publisherKeys.some(({ manifests }) => manifests !== undefined);
  return {
    type: withEnds ? 'edgekeep-trust/v3' : 'edgekeep-trust/v2',
    logs: logs.map(({ key, ...times }) => ({ key: encodeVerifierKey(key), ...timesOf(times) })),
    attestationKeys: attestationKeys.map(timedOf),
    publisherKeys: publisherKeys.map(({ publicKey, postQuantum, manifests, ...times }) => {
      const ended = withEnds ? { manifests: manifests ?? null } : {};
      return { key: encodePublisherKey({ publicKey, postQuantum }), ...timesOf(times), ...ended };
    }),
    keyList: keyList === undefined ? null : parseJson(keyList, signedKeyListSchema, 'signed key list'),
  };
}

/** The same in the form that a file may have in its place. */
export interface TrustWitnesses {
  readonly witnesses: readonly string[];
  readonly quorum: number;
}

/** Logs and attestation keys of a list, with the times that it gives them. */
export function keysOfList(list: Pick<KeyList, 'keys'>): Pick<Trust, 'logs' | 'attestationKeys'> {
  return {
    logs: keysFor(list, 'log').map((key) => ({ key: logKeyOf(key), ...validityIn(key) })),
    attestationKeys: keysFor(list, 'attestation-result').map((key) => ({
      publicKey: key.publicKey,
      ...validityIn(key),
    })),
  };
}

/**
 * Logs of a list, each with the key of ML-DSA-44 that a reader knew for it: a list names Ed25519 keys only, and must not make the reader forget
 * that there is a second signature.
 */
export function withSecondKeys(logs: readonly TrustedLog[], known: readonly TrustedLog[]): readonly TrustedLog[] {
  return logs.map((log) => {
    const own = encodeVerifierKey(classicalPart(log.key));
    const same = known.find(({ key }) => encodeVerifierKey(classicalPart(key)) === own);
    return { ...log, key: same?.key ?? log.key };
  });
}

export type CertifiedTrust =
  | { readonly kind: 'certified'; readonly trust: Trust; readonly list: KeyList }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/**
 * The trust file with the logs and attestation keys that a root certified, in place of those that the hub's file names. Refused when one of
 * these roots did not sign the list, when it is dated in the future, or when the file names a key that the list lacks. A list that is too old
 * is taken: old receipts verify, and the caller says it.
 */
export function certifiedTrust(trust: Trust, roots: readonly Certificate[], nowSeconds: number): CertifiedTrust {
  if (trust.keyList === undefined) return { kind: 'refused', reasons: ['the trust file has no key list'] };
  const verdict = openKeyList(trust.keyList, roots);
  if (verdict.kind === 'refused') return verdict;
  const early = futureProblems(verdict.list, nowSeconds);
  if (early.length > 0) return { kind: 'refused', reasons: early };
  const certified = keysOfList(verdict.list);
  const logs = certified.logs.map(({ key }) => encodeVerifierKey(key));
  const keys = certified.attestationKeys.map(keyIdOf);
  const reasons = [
    ...trust.logs
      .filter(({ key }) => !logs.includes(encodeVerifierKey(classicalPart(key))))
      .map(({ key }) => `the log ${key.name}`),
    ...trust.attestationKeys
      .filter((key) => !keys.includes(keyIdOf(key)))
      .map((key) => `the attestation key ${keyIdOf(key).slice(0, 16)}`),
  ].map((what) => `${what} is not on the root's key list`);
  if (reasons.length > 0) return { kind: 'refused', reasons };
  const withSecond = { ...certified, logs: withSecondKeys(certified.logs, trust.logs) };
  return { kind: 'certified', trust: { ...trust, ...withSecond }, list: verdict.list };
}

function validityIn({ fromSeconds, untilSeconds, compromised }: KeyValidity): KeyValidity {
  return { fromSeconds, untilSeconds, compromised };
}

function timedOf({ publicKey, ...times }: TrustedKey) {
  return { key: encodePublicKeyPem(publicKey), ...timesOf(times) };
}

function timesOf({ fromSeconds, untilSeconds, compromised }: KeyValidity) {
  return { from: fromSeconds, until: untilSeconds ?? null, compromised };
}

function validityOf(times: { readonly from: number; readonly until: number | null; readonly compromised: boolean }) {
  return { fromSeconds: times.from, untilSeconds: times.until ?? undefined, compromised: times.compromised };
}

function parseLogKey(text: string): VerifierKey {
  const key = parseVerifierKey(text);
  if (key.type !== 'ed25519') throw new CoreError('key-invalid', 'trust file: the log signs with a key of type 0x01');
  return key;
}

function parsePublisherPem(text: string): PublisherKey {
  const [own = ''] = text.split(/(?<=-----END PUBLIC KEY-----\n)/);
  parsePublicPem(own);
  return parsePublisherKey(text);
}

// node:crypto would also accept a private key or a certificate here: a trust file contains neither.
function parsePublicPem(text: string): KeyObject {
  if (!text.startsWith('-----BEGIN PUBLIC KEY-----')) {
    throw new CoreError('key-invalid', 'trust file: expected a PEM block PUBLIC KEY');
  }
  try {
    const key = parsePublicKeyPem(text);
    signatureAlgorithmOf(key);
    return key;
  } catch (cause) {
    throw new CoreError('key-invalid', 'trust file: not a P-256, P-384, P-521 or Ed25519 public key', { cause });
  }
}
