// All mutants: one file per subject, two for DICE.
import { attestMutants } from './attest.ts';
import { certificateMutants } from './certificate.ts';
import { claimMutants } from './claims.ts';
import { deviceMutants } from './device.ts';
import { diceMutants } from './dice.ts';
import { diceChainMutants } from './dice-chain.ts';
import { enrollmentMutants } from './enrollment.ts';
import { logMutants } from './log.ts';
import { modelMutants } from './model.ts';
import type { Mutant } from './mutant.ts';
import { operatorMutants } from './operator.ts';
import { releaseMutants } from './release.ts';
import { revocationMutants } from './revocation.ts';
import { workloadMutants } from './workload.ts';

export const mutants: readonly Mutant[] = [
  ...attestMutants,
  ...certificateMutants,
  ...claimMutants,
  ...deviceMutants,
  ...diceMutants,
  ...diceChainMutants,
  ...enrollmentMutants,
  ...logMutants,
  ...modelMutants,
  ...operatorMutants,
  ...releaseMutants,
  ...revocationMutants,
  ...workloadMutants,
];
