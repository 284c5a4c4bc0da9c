// The messages about keys that are released (spec/access.md, spec/receipt.md): a device's request, and what operators see.
import { leaseSchema } from '@edgekeep/core/access/lease';
import { wrappedKeySchema } from '@edgekeep/core/access/wrapped-key';
import { evidenceSchema } from '@edgekeep/core/attest/evidence';
import { z } from 'zod';
import { tpmBytes } from './bytes.ts';

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

export const receiptResponse = z.object({ receipt: z.string() });

/**
 * With this header a device declares that it can read salted entries in receipts (spec/audit-log.md); a hub of the previous version ignores
 * it.
 */
export const entryVersionHeader = 'edgekeep-entry-version';

export const saltedEntryVersion = '2';

/** With this header a device declares that it can read receipts of version 2 (spec/receipt.md); a hub of the version before ignores it. */
export const receiptVersionHeader = 'edgekeep-receipt-version';

export const receiptVersionTwo = '2';

export const releaseRequest = z.strictObject({
  model: z.string().max(64),
  version: z.string().max(64),
  /**
   * The types of wrapped keys that the agent reads; the hub passes over those that it does not know. Left out by an agent of the version before.
   */
  wraps: z.array(z.string().min(1).max(64)).min(1).max(8).optional(),
  /** Over qualifyingData('bound-release', nonce, TLS exporter and ask); without `wraps`, over qualifyingData('release', nonce, TLS exporter). */
  evidence: evidenceSchema,
  /** TPM2_NV_Certify of the lease counter over the same data, if the device has one: TPMS_ATTEST and TPMT_SIGNATURE. */
  leaseCounter: z.strictObject({ attest: tpmBytes, signature: tpmBytes }).optional(),
});

export const releaseResponse = z.object({
  lease: leaseSchema,
  wrappedKey: wrappedKeySchema,
  attestationResult: z.string(),
  /** The release receipt, base64url of the JSON file. */
  receipt: z.string(),
});
