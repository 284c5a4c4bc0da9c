// The operator's messages about the device registry (spec/registry.md): tags, attributes, groups, history, import. Times are unix
// milliseconds.
import type { FormerNames } from '@edgekeep/core/former-names';
import { z } from 'zod';
import { attributeKeyPattern, attributesSchema } from './attributes.ts';
import { sha256Hex } from './bytes.ts';
import { deviceIdSchema } from './device.ts';
import { siteNameSchema } from './site.ts';
import { lineSchema } from './texts.ts';
import { deviceStateWord } from './words.ts';

/** Enough for sites, lines and owners; a device that needs more should use attributes. */
export const TAGS_MAX = 64;
/** One request; longer lists come by import. */
const MEMBERS_MAX = 1_000;
/** Characters of a filter (spec/registry.md, "Filter"). */
export const FILTER_CHARACTERS_MAX = 2_048;

export const tagKeySchema = z.string().regex(attributeKeyPattern);
const tagValueSchema = lineSchema(200);
export const tagsSchema = z
  .record(tagKeySchema, tagValueSchema)
  .refine((tags) => Object.keys(tags).length <= TAGS_MAX, `more than ${TAGS_MAX} tags`);

export const groupNameSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);

export const tagRequest = z
  .strictObject({ set: tagsSchema.prefault({}), remove: z.array(tagKeySchema).max(TAGS_MAX).default([]) })
  .refine(({ set, remove }) => Object.keys(set).length + remove.length > 0, 'nothing to set or to remove');
export const tagResponse = z.object({ deviceId: z.string(), tags: z.record(z.string(), z.string()) });

export const disableRequest = z.strictObject({ reason: z.string().min(1).max(500) });
export const enableRequest = z.strictObject({});
export const enabledResponse = z.object({
  deviceId: z.string(),
  enabled: z.boolean(),
  state: deviceStateWord,
  connectionsClosed: z.number(),
});

const documentView = z.object({
  /** 0 before anything was written. */
  version: z.number(),
  attributes: z.record(z.string(), z.unknown()),
  updatedAt: z.number().nullable(),
});
export const attributesView = z.object({ deviceId: z.string(), desired: documentView, reported: documentView });
export const desiredRequest = z.strictObject({
  attributes: attributesSchema,
  /** The version that this replaces; if another one is stored, it is a conflict. Left out: any version. */
  replaces: z.int().min(0).optional(),
});

export const historyView = z.object({
  changes: z.array(
    z.object({
      at: z.number(),
      from: z.string(),
      to: z.string(),
      reason: z.string(),
      actor: z.string(),
      /** Index of its audit entry: `GET /v1/audit/INDEX/proof`. */
      logIndex: z.number(),
    }),
  ),
  next: z.number().nullable(),
});

export const groupRequest = z.strictObject({
  name: groupNameSchema,
  description: z.string().max(500).default(''),
  /** Members are the devices that it matches; left out, members are named one by one. */
  filter: z.string().min(1).max(FILTER_CHARACTERS_MAX).optional(),
});
export const groupView = z.object({
  name: z.string(),
  description: z.string(),
  filter: z.string().nullable(),
  /** What its filter asks that devices say of themselves; with any, it is a claim group. */
  claims: z.array(z.string()).default([]),
  createdAt: z.number(),
});
export const groupList = z.object({ groups: z.array(groupView) });
export const groupDetail = groupView.extend({ members: z.number() });
export const groupDeleted = z.object({ name: z.string(), deleted: z.boolean() });
const members = z.array(deviceIdSchema).max(MEMBERS_MAX).default([]);
export const membersRequest = z
  .strictObject({ add: members, remove: members })
  .refine(({ add, remove }) => add.length + remove.length > 0, 'no device to add or to remove');
export const membersResponse = z.object({ name: z.string(), added: z.number(), removed: z.number() });

/** Members of a line as in manifests of the previous version. */
export const formerLineMembers: FormerNames = { enrolmentGroup: 'enrollmentGroup' };

/** One line of an import: an expected device. */
const expectedLine = z
  .strictObject({
    id: deviceIdSchema,
    tags: tagsSchema.prefault({}),
    groups: z.array(groupNameSchema).max(32).default([]),
    /** SHA-256 of the SPKI of its endorsement key: this TPM may enroll under this id without a token, and no other root of trust may. */
    rootSha256: sha256Hex.optional(),
    /** SHA-256 of its IDevID certificate: that device may enroll under this id only, and no other under it. */
    idevidSha256: sha256Hex.optional(),
    /** An enrollment group of the kind `manifest`, which then speaks for it. */
    enrollmentGroup: groupNameSchema.optional(),
    site: siteNameSchema.optional(),
  })
  .refine(
    ({ rootSha256, idevidSha256, enrollmentGroup }) =>
      enrollmentGroup === undefined || (rootSha256 ?? idevidSha256) !== undefined,
    'an enrollmentGroup needs rootSha256 or idevidSha256',
  );
/** One line of an import: a device of a manifest, under any id. */
const listedLine = z
  .strictObject({
    enrollmentGroup: groupNameSchema,
    rootSha256: sha256Hex.optional(),
    idevidSha256: sha256Hex.optional(),
  })
  .refine(
    ({ rootSha256, idevidSha256 }) => (rootSha256 ?? idevidSha256) !== undefined,
    'no rootSha256, no idevidSha256',
  );
/** One line of an import: a root of trust that must never enroll. */
const blockedLine = z.strictObject({ block: sha256Hex, reason: z.string().min(1).max(200) });
export const importLine = z.union([expectedLine, listedLine, blockedLine]);
export type ImportLine = z.infer<typeof importLine>;
export type ExpectedLine = z.infer<typeof expectedLine>;
export type ListedLine = z.infer<typeof listedLine>;
export type BlockedLine = z.infer<typeof blockedLine>;

export const importReport = z.object({
  lines: z.number(),
  /** Lines that are in the store now; repeating the import changes nothing. */
  expected: z.number(),
  listed: z.number(),
  blocked: z.number(),
  rejected: z.number(),
  /** The first rejected lines. */
  problems: z.array(z.object({ line: z.number(), message: z.string() })),
});
export type ImportReport = z.infer<typeof importReport>;
