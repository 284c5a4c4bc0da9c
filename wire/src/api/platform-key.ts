// The operator's messages about the platform key (spec/platform-secrets.md).
import { z } from 'zod';

/** The number of a platform key; `generation` is the same, for programs of the version before. */
const keyVersion = { version: z.int(), generation: z.int().optional().meta({ deprecated: true }) };

export const platformKeyRollResponse = z.object(keyVersion);

/** `valuesLeft` counts the values under older versions; `finished` means that no older version is kept any more. */
export const platformKeyView = z.object({ ...keyVersion, valuesLeft: z.int(), finished: z.boolean() });
