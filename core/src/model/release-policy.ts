// The publisher's release policy: who may get the key of a release. It is in the manifest that the publisher signed, so no operator can change
// it; the hub, the agent and every auditor ask it by this one function (spec/model-manifest.md, "Release policy").
import { z } from 'zod';
import { sha256Hex } from '../digest.ts';
import { encodeCanonicalJson } from '../json.ts';

const LISTED_MAX = 64;
// Those of attest/tier.ts, which may not be imported here.
const tiers = ['tpm', 'secure-element', 'dice', 'software'] as const;
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** Not empty, and nothing twice. */
const listOf = <Item extends z.ZodType<string>>(item: Item, max: number) =>
  z
    .array(item)
    .min(1)
    .max(max)
    .refine((list) => new Set(list).size === list.length, 'expected each once');

export const releasePolicySchema = z.strictObject({
  /** Where the device's keys are. */
  tiers: listOf(z.enum(tiers), tiers.length),
  /** SHA-256 of documents of reference values, hex: the boot was compared with one of them, and matched. */
  releases: listOf(sha256, LISTED_MAX).optional(),
  /** SHA-256 of certificates, hex: one of them is on the path from the maker's root to the device's own. */
  makers: listOf(sha256, LISTED_MAX).optional(),
  /** The operator's groups: the device is in one of them. */
  groups: listOf(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/), LISTED_MAX).optional(),
  /** The number of witnesses besides the receiver that cosign the log. */
  quorum: z.int().min(1).max(LISTED_MAX).optional(),
});

export type ReleasePolicy = Readonly<z.infer<typeof releasePolicySchema>>;

/** What is known of a device that asks, or that got the key. */
export interface ReleasePolicyFacts {
  readonly tier: string;
  /** SHA-256 of the reference values that affirmed its boot, hex; undefined for any other boot. */
  readonly release: string | undefined;
  /** One of the policy's makers, and one of its groups, that the device has. */
  readonly maker: string | undefined;
  readonly group: string | undefined;
  /** How many others cosigned; undefined where they cosign later. */
  readonly cosigners: number | undefined;
}

const codes = [
  'publisher-tier',
  'publisher-release',
  'publisher-maker',
  'publisher-group',
  'publisher-quorum',
] as const;

export interface ReleasePolicyReason {
  readonly code: (typeof codes)[number];
  readonly message: string;
}

/**
 * The reference values that affirmed a boot, from an attestation result: its policy id ends with the digest of their document. Undefined for
 * a boot that is not affirmed.
 */
export function affirmedRelease({
  status,
  policyId,
}: {
  readonly status: string;
  readonly policyId: string;
}): string | undefined {
  return status === 'affirming' ? / sha256:([0-9a-f]{64})$/.exec(policyId)?.[1] : undefined;
}

/** SHA-256 of its canonical JSON, hex: what the wrapped key, the log entry and the receipt name. */
export function releasePolicyDigest(policy: ReleasePolicy): string {
  return sha256Hex(encodeCanonicalJson({ ...policy }));
}

/** Why the policy does not permit it, or nothing. */
export function releasePolicyReasons(
  policy: ReleasePolicy,
  { tier, release, maker, group, cosigners }: ReleasePolicyFacts,
): readonly ReleasePolicyReason[] {
  const { tiers, releases, makers, groups, quorum } = policy;
  const reasons: ReleasePolicyReason[] = [];
  const refuse = (code: ReleasePolicyReason['code'], message: string) => reasons.push({ code, message });
  const isListed = (list: readonly string[] | undefined, value: string | undefined) =>
    list === undefined || (value !== undefined && list.includes(value));
  if (!isListed(tiers, tier))
    refuse('publisher-tier', `the tier is ${tier}; the publisher permits ${tiers.join(', ')}`);
  if (!isListed(releases, release)) {
    const found = release === undefined ? 'no reference values affirmed the boot' : `the boot is that of ${release}`;
    refuse('publisher-release', `${found}; the publisher permits ${shortened(releases)}`);
  }
  if (!isListed(makers, maker)) {
    refuse(
      'publisher-maker',
      `no certificate of the device's maker is one that the publisher names: ${shortened(makers)}`,
    );
  }
  if (!isListed(groups, group)) {
    refuse('publisher-group', `the device is in none of the publisher's groups: ${shortened(groups)}`);
  }
  if (quorum !== undefined && cosigners !== undefined && cosigners < quorum) {
    refuse('publisher-quorum', `${cosigners} other witnesses cosigned; the publisher asks for ${quorum}`);
  }
  return reasons;
}

const NAMED_MAX = 4;

function shortened(list: readonly string[] = []): string {
  const named = list.slice(0, NAMED_MAX).map((name) => (name.length === 64 ? `${name.slice(0, 12)}…` : name));
  return [...named, ...(list.length > NAMED_MAX ? [`${list.length - NAMED_MAX} more`] : [])].join(', ');
}
