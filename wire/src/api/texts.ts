// Schemas of texts with one canonical form (docs/design/identities.md): accepts every spelling with the same meaning, returns the canonical
// one.
import { canonicalHostName } from '@edgekeep/core/canonical/host-name';
import { canonicalText, textProblem } from '@edgekeep/core/canonical/text';
import { canonicalNetwork } from '@edgekeep/core/canonical/network';
import { z } from 'zod';

/** A text of one line that is compared with others, of 1 to `maxLength` characters. */
export function lineSchema(maxLength: number) {
  return z
    .string()
    .max(maxLength)
    .superRefine((text, context) => {
      const message = textProblem(text) ?? (canonicalText(text) === '' ? 'nothing but spaces' : undefined);
      if (message !== undefined) context.addIssue({ code: 'custom', message });
    })
    .transform(canonicalText);
}

/** A host name or address in canonical form. A wildcard, as in certificates, keeps its star. */
export const hostNameSchema = z
  .string()
  .min(1)
  .max(253)
  .transform((text, context) => {
    const star = text.startsWith('*.') ? '*.' : '';
    const name = canonicalHostName(text.slice(star.length));
    if (name !== undefined) return star + name;
    context.addIssue({ code: 'custom', message: 'not a host name and not an address' });
    return z.NEVER;
  });

export const networkSchema = z.string().transform((text, context) => {
  const network = canonicalNetwork(text);
  if (network !== undefined) return network;
  const message = 'not a network: 10.1.0.0/16 or 2001:db8::/32, host bits zero; IPv4 is not written mapped into IPv6';
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

/** Why an operator does something: it is recorded in the audit log. */
export const reasonText = z.string().min(1).max(500);
