// Closed lists of words in answers. A reader takes any word, because a later hub may know one more; the OpenAPI documents have the lists.
import { z } from 'zod';

/** A word of this list. */
export function wordOf(list: readonly string[]): z.ZodString {
  return z.string().meta({ enum: [...list] });
}

export const deviceStates = ['registered', 'active', 'suspect', 'quarantined', 'wiped', 'retired'] as const;
export const deviceStateWord = wordOf(deviceStates);

export const deviceTierWord = wordOf(['tpm', 'secure-element', 'dice', 'software', 'token']);

/** Of an appraisal; `spec/attestation-result.md`. */
export const appraisalWord = wordOf(['none', 'affirming', 'warning', 'contraindicated']);

export const releaseStateWord = wordOf(['uploading', 'published', 'withdrawn']);

/** The hub's own lists: the document takes them from there. In requests the hub says which word it does not know. */
export const scopeName = z.string().max(40);
export const roleName = z.string().max(40);
export const scopeWord = z.string();
export const roleWord = z.string();
