// The messages of a device that lost files of its state folder (spec/agent.md, "A lost file").
import { evidenceSchema } from '@edgekeep/core/attest/evidence';
import { lostFileNames, lostFileWays } from '@edgekeep/core/attest/state-recovery-subject';
import { NOTE_BYTES_MAX } from '@edgekeep/core/audit/note';
import { modelNamePattern, modelVersionPattern } from '@edgekeep/core/model/manifest';
import { z } from 'zod';

const lostFile = z.strictObject({ file: z.enum(lostFileNames), how: z.enum(lostFileWays) });

export const stateRecoveryRequest = z.strictObject({
  lost: z.array(lostFile).min(1).max(lostFileNames.length),
  /** The C2SP vkey that this device cosigns by from now on: a new one where it lost the key. */
  witnessKey: z.string().max(4_096),
  /** Over stateRecoveryQualifyingData, with the nonce of POST /v1/challenges. */
  evidence: evidenceSchema,
});

export const stateRecoveryResponse = z.object({
  /** The newest checkpoint that this device cosigned, with its cosignature; null where the hub has none. */
  checkpoint: z.string().max(NOTE_BYTES_MAX).nullable(),
  /** The highest version of each model whose key this device got. */
  versions: z.record(z.string().regex(modelNamePattern), z.string().max(128).regex(modelVersionPattern)),
});
