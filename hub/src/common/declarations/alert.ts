// The scopes and settings of `alert`.
import { z } from 'zod';

export const alertScopes = ['alerts:read', 'alerts:write'] as const;

export const alertSettings = {
  alerts: z
    .strictObject({
      /** How many devices must be unable to use a release before an alert is raised. */
      devicesRefusingRelease: z.int().min(1).max(1_000_000).default(3),
      /** Whether a policy that gives the key of every model to every attested device with a TPM raises an alert. */
      policyGivesAllKeys: z.boolean().default(true),
      /** Whether an alert is raised while reference values need not cover the PCR of the agent's stages (`attestation.coveredPcrs`). */
      stagesNotCovered: z.boolean().default(true),
      /** Whether an alert is raised while boots are affirmed by reference values of the version before that do not cover them. */
      bootsNotCompared: z.boolean().default(true),
      /** Whether an alert is raised when a device asks to enroll whose maker's certificates the hub does not have. */
      unknownMakers: z.boolean().default(true),
      /** Whether an alert is raised when the clock of a TPM does not advance as the hub's (`attestation.clockDriftPercent`). */
      tpmClock: z.boolean().default(true),
      /** Whether an alert is raised before reference values run out, and when they have (`attestation.endingWarningDays`). */
      referenceValuesEnding: z.boolean().default(true),
      /** Whether an alert is raised while devices boot a release that a newer one superseded. */
      bootsSuperseded: z.boolean().default(true),
      referenceValuesNotQuoted: z.boolean().default(true),
      /**
       * Whether an alert is raised when a lease is requested from another address than its holder's, or with a proof that took much longer.
       */
      leaseElsewhere: z.boolean().default(true),
      /** How much longer than usual a device's proof may take, in milliseconds; or half as much again, where that is more. */
      proofSlackMilliseconds: z.int().min(1).max(600_000).default(250),
      /** How often in a row a job of the hub may fail without an alert. */
      maxJobFailures: z.int().min(1).max(1_000_000).default(5),
      /** How far a device's clock may differ from the hub's without an alert, in seconds. */
      maxClockSkewSeconds: z.int().min(1).max(31_536_000).default(300),
    })
    .prefault({}),
};
