// The messages of the operator API (spec/api.md, "Operator API"): the hub's requests and answers, as the command line reads them. Bytes are
// unpadded base64url, digests lower-case hex, times unix milliseconds.
import { tierSchema } from '@edgekeep/core/attest/tier';
import { z } from 'zod';
import { vendorRootKinds } from './vendor-root.ts';
import { guardReport } from './guard-report.ts';
import { deviceIdSchema, modelFile } from './device.ts';
import { deviceModelView } from './model.ts';
import { personNameSchema } from './people.ts';

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits in lower case');
const reasonText = z.string().min(1).max(500);
const base64url = (maxCharacters: number) =>
  z
    .string()
    .max(maxCharacters)
    .regex(/^[A-Za-z0-9_-]*$/);

export const modelNameSchema = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/);
export const versionSchema = z.string().min(1).max(64);

export const deviceView = z.object({
  id: deviceIdSchema,
  tier: z.string(),
  state: z.string(),
  stateReason: z.string(),
  /** False while an operator has switched it off; `disabledReason` says why. */
  enabled: z.boolean(),
  disabledReason: z.string().nullable(),
  tags: z.record(z.string(), z.string()),
  /** Name of its site. */
  site: z.string().nullable(),
  enrolledAt: z.number(),
  seenAt: z.number(),
  /** It has a bound connection to some hub node. */
  online: z.boolean(),
  /** The newest appraisal: status and reasons; null before the first. */
  appraisal: z
    .object({
      status: z.string(),
      at: z.number(),
      reasons: z.array(z.object({ code: z.string(), message: z.string() })),
    })
    .nullable(),
  counts: z.unknown(),
  /** Its models, from its last report. */
  models: z.array(deviceModelView),
  /** How far its clock is ahead of the hub's; null before its first report. */
  clockSkewSeconds: z.number().nullable(),
  /** Walls around its guards and how guards ended, from its last report; null before the first. */
  guard: guardReport.nullable(),
});
export type DeviceView = z.infer<typeof deviceView>;

/** What a device must know about its hub before it first connects. */
export const hubView = z.object({
  /** The first of the names in the hub's certificate. */
  name: z.string(),
  devicePort: z.number(),
  root: z.string(),
  logKey: z.string(),
  attestationKey: z.string(),
  publisherKeys: z.array(z.string()),
  /** PCRs that reference values must cover for a boot to be affirmed. */
  coveredPcrs: z.array(z.number()).default([]),
});

export const deviceList = z.object({ devices: z.array(deviceView), next: z.string().nullable() });
export const deviceDetail = deviceView.extend({
  /** Groups that name it as a member. */
  groups: z.array(z.string()),
  /** The enrollment group it came by. */
  enrollmentGroup: z.string().nullable(),
  /** The same, for programs of the previous version. */
  enrolmentGroup: z.string().nullable().optional().meta({ deprecated: true }),
  /** Which of its identities this is; one more each time it enrolled again after a wipe. */
  generation: z.number(),
  formerIdentities: z.array(
    z.object({
      generation: z.number(),
      tier: z.string(),
      rootSha256: z.string(),
      enrolledAt: z.number(),
      endedAt: z.number(),
      reason: z.string(),
    }),
  ),
  /** Earlier devices with the same hardware. */
  formerDevices: z.array(z.object({ deviceId: z.string(), generation: z.number(), endedAt: z.number() })),
  /** A different root of trust that it must return with after a wipe. */
  nextRootSha256: z.string().nullable(),
  /**
   * TPMT_PUBLIC of a TPM's attestation key, base64url: the input of `edgekeep attest verify --key`. Null without a TPM, and from a hub of
   * an earlier version.
   */
  attestationKey: z.string().nullable().default(null),
  /** What makers' certificates said when it enrolled. */
  makers: z
    .array(
      z.object({
        kind: z.enum(vendorRootKinds),
        maker: z.string(),
        /** The time for which its path was judged. */
        judgedAt: z.number(),
        /** Certificates that had ended by then, one per line. */
        notes: z.array(z.string()),
      }),
    )
    // Left out by a hub of an earlier version.
    .default([]),
  /** The identity that its manufacturer gave it for its whole life; null when it proved none. */
  idevid: z
    .object({
      serialNumber: z.string(),
      /** Of the certificate, hex. */
      sha256: z.string(),
      issuer: z.string(),
      hardwareType: z.string(),
      hardwareSerial: z.string(),
    })
    .nullable(),
  rootSha256: z.string(),
  witnessKey: z.string(),
  presence: z.object({
    /** Its bound connections, on every hub node, oldest first. */
    places: z.array(z.object({ address: z.string(), since: z.number(), certificate: z.string() })),
    /** They are in more than one place. */
    elsewhere: z.boolean(),
    /** From which address and when it was last bound, online or not; null before the first time. */
    lastAddress: z.string().nullable(),
    lastBoundAt: z.number().nullable(),
  }),
  certificates: z.array(
    z.object({
      serial: z.string(),
      notBefore: z.number(),
      notAfter: z.number(),
      revokedAt: z.number().nullable(),
      generation: z.number(),
    }),
  ),
  leases: z.array(
    z.object({
      id: z.string(),
      model: z.string(),
      version: z.string(),
      notAfter: z.number(),
      revokedAt: z.number().nullable(),
    }),
  ),
});

export const stateOrder = z.strictObject({ reason: reasonText });
export const replaceRootOrder = z.strictObject({ rootSha256: sha256Hex, reason: reasonText });
export const replaceRootAnswer = z.object({ deviceId: z.string(), state: z.string(), rootSha256: z.string() });
export const stateAnswer = z.object({ deviceId: z.string(), state: z.string(), connectionsClosed: z.number() });

export const enrollmentTokenOrder = z.strictObject({
  deviceId: deviceIdSchema.optional(),
  tier: tierSchema.optional(),
  lifeSeconds: z.int().min(1).max(2_592_000).default(86_400),
});
export const enrollmentTokenAnswer = z.object({ token: z.string(), expiresAt: z.number() });

/** The reasons that an operator may give: those that fit a device's certificate and are final (RFC 5280 section 5.3.1). */
export const revocationReasons = [
  'unspecified',
  'keyCompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
] as const;
/** How many devices or certificates one call revokes: all of them are one transaction. */
export const REVOKED_AT_ONCE_MAX = 10_000;
const serialText = z.string().regex(/^[1-9a-f][0-9a-f]{0,39}$/);
const named = <T extends z.ZodType>(schema: T) => z.array(schema).min(1).max(REVOKED_AT_ONCE_MAX).optional();

export const certificateView = z.object({
  serial: z.string(),
  deviceId: z.string(),
  /** The workload on the device that owns it; null for the device's own. */
  workload: z.string().nullable(),
  sha256: sha256Hex,
  notBefore: z.number(),
  notAfter: z.number(),
  revokedAt: z.number().nullable(),
  reason: z.string().nullable(),
});
export type CertificateView = z.infer<typeof certificateView>;
export const certificateList = z.object({ certificates: z.array(certificateView), next: z.string().nullable() });

export const revocationOrder = z
  .strictObject({
    /** Every valid certificate of these devices; or certificates by serial number or by SHA-256. */
    devices: named(deviceIdSchema),
    serials: named(serialText),
    sha256: named(sha256Hex),
    reason: z.enum(revocationReasons),
    /** Why, for the audit log. */
    note: reasonText,
    /** Only with `devices`: they may prove themselves and get another certificate. Without it they are quarantined as well. */
    mayReturn: z.boolean().default(false),
  })
  .refine(
    ({ devices, serials, sha256 }) => [devices, serials, sha256].filter((list) => list !== undefined).length === 1,
    'name devices, serials or sha256: one of the three',
  );
export const revocationAnswer = z.object({
  version: z.number(),
  certificates: z.number(),
  devices: z.number(),
  quarantined: z.number(),
  leasesVoided: z.number(),
  digest: sha256Hex,
  connectionsClosed: z.number(),
});

export const expiryItem = z.object({
  name: z.string(),
  notAfter: z.number(),
  ended: z.boolean(),
  warning: z.boolean(),
});
export type ExpiryItem = z.infer<typeof expiryItem>;
export const expiry = z.object({
  hub: z.array(expiryItem),
  /** The devices whose newest certificate ends first. */
  devices: z.array(expiryItem),
  devicesWarned: z.number(),
  devicesEnded: z.number(),
  /** The API tokens that end first, as `OWNER/NAME`. */
  tokens: z.array(expiryItem),
});
export type Expiry = z.infer<typeof expiry>;

export const publisherOrder = z.strictObject({ name: z.string().min(1).max(100), publicKey: z.string().max(2_000) });
export const publisherAnswer = z.object({ fingerprint: z.string(), name: z.string() });

export const modelOrder = z.strictObject({
  /** Canonical JSON of the manifest (spec/model-manifest.md). */
  manifest: base64url(700_000),
  /** The OMS bundle, JSON text. */
  signature: z.string().max(700_000),
  /** 32 bytes; wrapped under the platform key on arrival and never shown again. */
  modelKey: base64url(43),
});
export const modelView = z.object({
  name: z.string(),
  version: z.string(),
  state: z.string(),
  manifestDigest: sha256Hex,
  publisher: z.string(),
  createdAt: z.number(),
  publishedAt: z.number().nullable(),
  files: z.array(modelFile),
});
export type ModelView = z.infer<typeof modelView>;
/** How much of an incoming file the hub has; 0 for none. */
export const uploadState = z.object({ offset: z.number() });
export const uploadedFile = z.object({ path: z.string(), sealedSize: z.number(), sealedSha256: sha256Hex });
/** The release that devices are offered now, and what devices need that refuse it as a roll-back. */
export const withdrawAnswer = modelView.extend({ current: z.string().nullable(), advice: z.string().nullable() });
/** A release that was begun or published; `advice`: which devices will refuse it as a roll-back. A hub of an earlier version gives none. */
export const publicationAnswer = modelView.extend({ advice: z.string().nullable().default(null) });
export type PublicationAnswer = z.infer<typeof publicationAnswer>;
export const modelList = z.object({ models: z.array(modelView) });

export const referenceValuesOrder = z.strictObject({
  /** The reference values document (spec/reference-values.md). */
  document: base64url(1_400_000),
  /** An OMS bundle over the one file `reference-values.json`. */
  signature: z.string().max(100_000),
});
export const referenceValuesView = z.object({
  name: z.string(),
  version: z.string(),
  publisher: z.string(),
  publishedAt: z.number(),
  withdrawnAt: z.number().nullable(),
});

export const policyView = z.object({
  version: z.number(),
  digest: z.string(),
  text: z.string(),
  appliedAt: z.number(),
  /** Statements that release the key of any model to any attested device with a TPM. */
  keysForEveryDevice: z.array(z.string()).default([]),
});

export const auditList = z.object({
  size: z.number(),
  entries: z.array(
    z.object({
      index: z.number(),
      at: z.number(),
      kind: z.string(),
      actor: z.string(),
      subject: z.string(),
      data: z.unknown(),
    }),
  ),
});
/** A C2SP tlog-proof of one entry, and the entry's bytes. */
export const auditProof = z.object({ index: z.number(), entry: z.string(), proof: z.string() });

export const apiTokenOrder = z
  .strictObject({
    /** Recorded in the audit log. */
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/),
    scopes: z.array(z.string().max(40)).max(20).default([]),
    roles: z.array(z.string().max(40)).max(10).default([]),
    /** The owner; without either, the caller. */
    person: personNameSchema.optional(),
    service: z.literal(true).optional(),
    /** The hash of the token's text, if its owner made it: the hub then never sees the text. */
    sha256: sha256Hex.optional(),
    /** Left out: 90 days, or the remaining life of the token that makes it. */
    lifeSeconds: z.int().min(60).max(31_536_000).optional(),
  })
  .refine(({ scopes, roles }) => scopes.length + roles.length > 0, 'name at least one scope or role')
  .refine(
    ({ person, service }) => person === undefined || service === undefined,
    'a token is a person’s or a service’s',
  );
/** `token` is null where the request had the `sha256`. */
export const apiTokenAnswer = z.object({ id: z.string(), token: z.string().nullable(), expiresAt: z.number() });

/** How many tokens of this name were ended. */
export const apiTokenRevoked = z.object({ name: z.string(), revoked: z.number() });

export const releaseList = z.object({
  leases: z.array(
    z.object({
      id: z.string(),
      deviceId: z.string(),
      model: z.string(),
      version: z.string(),
      notAfter: z.number(),
      revokedAt: z.number().nullable(),
      logIndex: z.number(),
    }),
  ),
});
export const receiptAnswer = z.object({ receipt: z.string() });

export const tokenDeviceOrder = z.strictObject({ id: deviceIdSchema });
export const tokenDeviceAnswer = z.object({ id: deviceIdSchema, secret: z.string() });
export const tokenRollOrder = z.strictObject({ overlapSeconds: z.int().min(0).max(2_592_000).default(86_400) });
export const tokenRollAnswer = tokenDeviceAnswer.extend({ olderValidUntil: z.number() });

/** The number of a platform key; `generation` is the same, for programs of the version before. */
const keyVersion = { version: z.int(), generation: z.int().optional().meta({ deprecated: true }) };
export const platformKeyRollAnswer = z.object(keyVersion);
/** `valuesLeft` counts the values under older versions; `finished` means that no older generation is kept any more. */
export const platformKeyView = z.object({ ...keyVersion, valuesLeft: z.int(), finished: z.boolean() });
