// The error codes and settings of `attest`.
import { bootCoverages } from '@edgekeep/core/attest/boot-coverage';
import { imaMismatches } from '@edgekeep/core/attest/ima-appraise';
import { z } from 'zod';

export const attestErrorCodes = {
  'attestation-refused': 403,
  'ima-log-start-unknown': 409,
  'reference-values-refused': 422,
  'evidence-not-kept': 404,
} as const;

export const attestSettings = {
  /** PCRs of the SHA-256 bank that every quote must cover. 16 and 23 can be reset at will and prove nothing. */
  pcrs: z.array(z.int().min(0).max(15)).min(1).default([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14]),
  attestation: z
    .strictObject({
      /** PCRs that reference values must cover for a boot to be affirmed. New hubs have 14, where the agent measures its stages. */
      coveredPcrs: z.array(z.int().min(0).max(15)).max(16).default([]),
      /**
       * What else reference values must cover: `pc-client` is firmware, loaders, Secure Boot policy and kernel; with `listed` only
       * `coveredPcrs` count, for boards whose firmware measures elsewhere.
       */
      bootCoverage: z.enum(bootCoverages).default('pc-client'),
      /** What a file does to the status that no IMA policy accepts: `refuse` contraindicates the device, `warn` only warns. */
      imaMismatch: z.enum(imaMismatches).default('refuse'),
      /** How much faster or slower than the hub's the clock of a TPM may run without an alert. 15 is what TPM 2.0 permits. */
      clockDriftPercent: z.int().min(1).max(50).default(15),
      /** In addition, how many seconds it may be off. */
      clockSlackSeconds: z.int().min(1).max(86_400).default(60),
      /** How long reference values count after a newer release of their name superseded them, in seconds. */
      supersededGraceSeconds: z.int().min(0).max(31_536_000).default(1_209_600),
      /** How many days before reference values run out an alert is raised. */
      endingWarningDays: z.int().min(0).max(365).default(14),
    })
    .prefault({}),
  evidence: z
    .strictObject({
      /** How long the evidence behind a released key is kept, in days: as long, a receipt has a long form. */
      keepDays: z.int().min(1).max(36_500).default(3_650),
      /** How much disk it may take, in MiB; then the oldest of the device that has most goes first. */
      maxMebibytes: z.int().min(1).max(16_777_216).default(10_240),
    })
    .prefault({}),
  /** How long a challenge may be answered, in seconds. */
  challengeSeconds: z.int().min(1).max(600).default(60),
};
