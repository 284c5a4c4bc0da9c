// The operator's view of devices, and orders about their state (spec/api.md, "Operator API"). Digests are lower-case hex, times unix milliseconds.
import { z } from 'zod';
import { sha256Hex } from './bytes.ts';
import { deviceIdSchema } from './device.ts';
import { guardReport } from './guard-report.ts';
import { deviceModelView } from './model.ts';
import { vendorRootKinds } from './vendor-root.ts';
import { modelCounts } from './report.ts';
import { reasonText } from './texts.ts';
import { appraisalWord, deviceStateWord, deviceTierWord } from './words.ts';

export const deviceView = z.object({
  id: deviceIdSchema,
  tier: deviceTierWord,
  state: deviceStateWord,
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
      status: appraisalWord,
      at: z.number(),
      reasons: z.array(z.object({ code: z.string(), message: z.string() })),
      /** False after a loss of power, until its TPM vouches again that no value of its clock repeats. */
      clockSafe: z.boolean().optional(),
    })
    .nullable(),
  /** What its guards answered, for each model, from its last report; null before the first. */
  counts: z.array(modelCounts).nullable(),
  /** Its models, from its last report. */
  models: z.array(deviceModelView),
  /** How far its clock is ahead of the hub's; null before its first report. */
  clockSkewSeconds: z.number().nullable(),
  /** Walls around its guards and how guards ended, from its last report; null before the first. */
  guard: guardReport.nullable(),
});

export type DeviceView = z.infer<typeof deviceView>;

export const deviceList = z.object({ devices: z.array(deviceView), next: z.string().nullable() });

/** Which identity of the device; `generation` is the same, for programs of the version before. */
const incarnation = { incarnation: z.number(), generation: z.number().optional().meta({ deprecated: true }) };

const sessions = z.array(z.object({ address: z.string(), since: z.number(), certificate: z.string() }));

export const deviceDetail = deviceView.extend({
  /** Groups that name it as a member. */
  groups: z.array(z.string()),
  /** The enrollment group it came by. */
  enrollmentGroup: z.string().nullable(),
  /** The same, for programs of the previous version. */
  enrolmentGroup: z.string().nullable().optional().meta({ deprecated: true }),
  /** Which of its identities this is; one more each time it enrolled again after a wipe. */
  ...incarnation,
  formerIdentities: z.array(
    z.object({
      ...incarnation,
      tier: deviceTierWord,
      rootSha256: z.string(),
      enrolledAt: z.number(),
      endedAt: z.number(),
      reason: z.string(),
    }),
  ),
  /** Earlier devices with the same hardware. */
  formerDevices: z.array(z.object({ deviceId: z.string(), ...incarnation, endedAt: z.number() })),
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
  /** The key that model keys for it are wrapped under beside its root of trust; null for none, and from a hub of an earlier version. */
  hybridKey: z
    .object({
      suite: z.string(),
      /** Of the key. */
      sha256: z.string(),
      registeredAt: z.number(),
    })
    .nullable()
    .default(null),
  witnessKey: z.string(),
  presence: z.object({
    /** Its bound connections, on every hub node, oldest first. */
    sessions,
    /** The same, for programs of the version before. */
    places: sessions.optional().meta({ deprecated: true }),
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
      ...incarnation,
    }),
  ),
  leases: z.array(
    z.object({
      id: z.string(),
      model: z.string(),
      version: z.string(),
      notAfter: z.number(),
      revokedAt: z.number().nullable(),
      /** Type of the wrapped key; null for the form of the version before, and from a hub of an earlier version. */
      wrap: z.string().nullable().default(null),
    }),
  ),
});

export const stateRequest = z.strictObject({ reason: reasonText });

export const replaceRootRequest = z.strictObject({ rootSha256: sha256Hex, reason: reasonText });

export const replaceRootResponse = z.object({ deviceId: z.string(), state: deviceStateWord, rootSha256: z.string() });

export const stateResponse = z.object({ deviceId: z.string(), state: deviceStateWord, connectionsClosed: z.number() });
