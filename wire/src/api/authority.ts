// Messages about authorities (spec/authorities.md): what devices learn and report, and the operator's requests.
import { KEY_LIST_BYTES_MAX, keyPurposes, KEYS_MAX } from '@edgekeep/core/authority/key-list';
import { parseBase64url } from '@edgekeep/core/bytes';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { issuedClasses } from '@edgekeep/core/identity/issuing-scope';
import type { OfferedRoot } from '@edgekeep/core/identity/rollover';
import { z } from 'zod';
import { deviceTierWord } from './words.ts';

const base64url = z.string().max(60_000);
/** DER of at most 16 KiB, about three hundred issuing CAs: all roots with their lists fit into one answer to a device. */
const rootList = z.string().max(21_846);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits in lower case');
const issuingId = z.string().regex(/^[0-9a-f]{40}$/, 'expected 40 hex digits in lower case');
const generation = z.number().optional().meta({ deprecated: true });
const rootStatus = z.enum(['next', 'current', 'previous', 'dropped']);
const issuingStatus = z.enum(['requested', 'next', 'active', 'retiring', 'retired', 'revoked', 'abandoned'] as const);

/** What an issuing CA issues for; `general` is one from before there were classes. */
const issuingClass = z.enum([...issuedClasses, 'general']);

/** Device listener: all roots that ever existed, oldest first, and the issuing CAs that are accepted. */
export const authoritiesResponse = z.object({
  roots: z
    .array(
      z.object({
        certificate: base64url,
        status: rootStatus,
        newWithOld: base64url.nullable(),
        oldWithNew: base64url.nullable(),
        /** The root's newest revocation list, DER. */
        list: rootList.nullable(),
      }),
    )
    .min(1)
    .max(32),
  issuing: z.array(z.object({ certificate: base64url, status: issuingStatus })).max(64),
  /** The newest signed key list, as text (spec/key-list.md); null before there is one; a hub of the version before leaves it out. */
  keyList: z.string().max(KEY_LIST_BYTES_MAX).nullable().optional(),
});
export type AuthoritiesResponse = z.infer<typeof authoritiesResponse>;

export const knownRoot = z.strictObject({
  root: sha256,
  /** Number of the key list; left out by a device that knows none. */
  keyList: z.int().min(1).optional(),
});
/** `generation` is the same, for agents of the version before; a hub of the version before has that one only. */
export const knownRootResponse = z.object({ version: z.number().optional(), generation });

/** The roots of an answer in the form of `followRollovers`. Throws a CoreError for an invalid certificate. */
export function offeredRootsOf({ roots }: AuthoritiesResponse): readonly OfferedRoot[] {
  const read = (text: string) => parseCertificate(parseBase64url(text, 'authorities'));
  return roots.map(({ certificate, newWithOld, oldWithNew }) => ({
    certificate: read(certificate),
    links:
      newWithOld === null || oldWithNew === null
        ? undefined
        : { newWithOld: read(newWithOld), oldWithNew: read(oldWithNew) },
  }));
}

const rootView = z.object({
  sha256,
  /** Counts from 1; `generation` is the same, for programs of the version before. */
  version: z.number(),
  generation,
  status: rootStatus,
  subject: z.string(),
  notBefore: z.number(),
  notAfter: z.number(),
  /** When it is dropped, if a newer one is in use. */
  overlapEndsAt: z.number().nullable(),
  /** Devices that may connect and have not shown that they know it; null for roots before the one in use. */
  devicesPending: z.number().nullable(),
  /** The same, for programs of the version before. */
  devicesMissing: z.number().nullable().optional().meta({ deprecated: true }),
});
export type RootView = z.infer<typeof rootView>;

const issuingView = z.object({
  id: issuingId,
  /** A hub of the version before leaves it out. */
  class: issuingClass.default('general'),
  status: issuingStatus,
  /** PEM, while it waits to be signed. */
  request: z.string().nullable(),
  /** Version of its root; null before it is signed. */
  root: z.number().nullable(),
  notBefore: z.number().nullable(),
  notAfter: z.number().nullable(),
  activatesAt: z.number().nullable(),
  activatedAt: z.number().nullable(),
  endedAt: z.number().nullable(),
  /** Its certificates that have neither ended nor been revoked. */
  certificates: z.number(),
});
export type IssuingView = z.infer<typeof issuingView>;

export const authorityOverview = z.object({ roots: z.array(rootView), issuing: z.array(issuingView) });

/** Left out: one of each class. */
export const issuingRequestRequest = z
  .strictObject({ classes: z.array(z.enum(issuedClasses)).min(1).max(issuedClasses.length).optional() })
  .prefault({});

/** `request` is all requests, PEM; `id` is the first, for programs of the version before. */
export const issuingRequestResponse = z.object({
  id: issuingId,
  request: z.string(),
  requests: z.array(z.object({ id: issuingId, class: issuingClass, request: z.string() })).optional(),
});

/** PEM, the issuing CAs; their root among them is ignored. */
export const issuingInstallRequest = z.strictObject({
  certificates: z.string().max(100_000),
  /** Unix milliseconds; `now` for at once; left out: it waits for a separate request. */
  activate: z.union([z.literal('now'), z.int().min(0)]).optional(),
  force: z.boolean().default(false),
});

export const issuingActivateRequest = z.strictObject({
  at: z.int().min(0).optional(),
  /** Continue although devices have not shown that they know its root. */
  force: z.boolean().default(false),
});

export const issuingEndRequest = z.strictObject({ note: z.string().min(1).max(500) });

export const issuingRevokeResponse = z.object({
  certificates: z.number(),
  devices: z.number(),
  leasesVoided: z.number(),
  connectionsClosed: z.number(),
  /** The issuing CA that replaced it, if it was in use. */
  activated: issuingId.nullable(),
});

/** PEM: new root, NewWithOld, OldWithNew. */
export const rootAnnounceRequest = z.strictObject({ certificates: z.string().max(100_000) });

export const rootOverlapRequest = z.strictObject({ endsAt: z.int().min(0) });

/** DER of the root's list, base64url. */
export const rootListRequest = z.strictObject({ list: rootList });

/** `rootVersion` is the newest root that the device has shown to know; `generation` is the same, for programs of the version before. */
export const pendingDevices = z.object({
  devices: z.array(
    z.object({ id: z.string(), tier: deviceTierWord, seenAt: z.number(), rootVersion: z.number(), generation }),
  ),
  next: z.string().nullable(),
});

const keyId = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits in lower case');
const keyListText = z.string().max(KEY_LIST_BYTES_MAX);

/** The hub's own signing keys (spec/key-list.md). Times of a key are Unix seconds, as in the list; all others milliseconds. */
export const hubKeysView = z.object({
  /** The newest list that the root signed; null before there is one. */
  list: z
    .object({
      number: z.number(),
      root: sha256,
      issuedAt: z.number(),
      validUntil: z.number(),
      /** The signed file, as text. */
      file: keyListText,
      /** Devices that may connect and have not shown that they know it. */
      devicesPending: z.number(),
    })
    .nullable(),
  keys: z.array(
    z.object({
      id: keyId,
      purpose: z.enum(keyPurposes),
      status: z.enum(['requested', 'next', 'active', 'previous', 'abandoned']),
      origin: z.string().nullable(),
      from: z.number(),
      until: z.number().nullable(),
      compromised: z.boolean(),
    }),
  ),
  /** What the root has to sign, in words; empty for nothing. */
  pending: z.array(z.string()),
});
export type HubKeysView = z.infer<typeof hubKeysView>;

export const keyRequestRequest = z.strictObject({
  /** The keys to replace; empty: the list is only signed again. */
  purposes: z.array(z.enum(['log', 'attestation-result', 'backup'])).max(3),
  /** Ids of keys in any status: in use, former, in their overlap, prepared or given up. With them goes `stolenAt`. */
  stolenKeys: z.array(keyId).max(KEYS_MAX).optional(),
  /** Unix milliseconds: from then on somebody else had the present keys of `purposes`, and the `stolenKeys`. */
  stolenAt: z.int().min(0).optional(),
  /** At least; left out: the one behind the installed list. */
  number: z.int().min(1).max(1_000_000).optional(),
});

/** The request for the root, as text. */
export const keyRequestResponse = z.object({ request: keyListText });

export const keyListInstallRequest = z.strictObject({ keyList: keyListText });

export const keyActivateRequest = z.strictObject({
  /** Continue although devices have not shown that they know a list with the key. */
  force: z.boolean().default(false),
});
