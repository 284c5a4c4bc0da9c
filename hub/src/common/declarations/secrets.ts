// The error codes and settings of `secrets`.
import { z } from 'zod';

export const secretsErrorCodes = {
  'keys-locked': 500,
  'unlock-refused': 500,
  'sealed-keys-invalid': 500,
  'backup-refused': 500,
} as const;

export const secretsSettings = {
  /** A program that prints the 32 bytes that unlock the hub's keys: its absolute path and arguments (spec/platform-secrets.md). */
  unlockProgram: z.array(z.string().min(1).max(1_000)).max(32).default([]),
};
