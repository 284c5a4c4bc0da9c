// Schemas of texts with one canonical form (docs/design/identities.md): accepts every spelling with the same meaning, returns the canonical
// one.
import { type Host, hostText, isLinkLocal, parseHost } from '@edgekeep/core/canonical/host';
import { parseWebAddress } from '@edgekeep/core/canonical/endpoint';
import { canonicalText, textProblem } from '@edgekeep/core/canonical/text';
import { canonicalNetwork } from '@edgekeep/core/canonical/network';
import { CoreError } from '@edgekeep/core/error';
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

/** What a parser of core gives for a text; its refusal becomes an issue. */
function parsed<T>(text: string, context: z.RefinementCtx, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
    return z.NEVER;
  }
}

/** A name or address of a certificate, in canonical form. A wildcard keeps its star. */
export const hostNameSchema = z
  .string()
  .min(1)
  .max(253)
  .transform((text, context) =>
    parsed(text, context, () => {
      const star = text.startsWith('*.') ? '*.' : '';
      const host = parseHost(text.slice(star.length));
      if (host.kind === 'name') return star + host.text;
      if (star !== '')
        throw new CoreError(
          'address-invalid',
          `${JSON.stringify(text)}: a star takes the place of the first label of a name`,
        );
      if (host.kind === 'ipv6' && host.zone !== undefined) throw zoneRefused(text);
      return hostText(host);
    }),
  );

/** A host that this machine reaches, in canonical form; a link-local address may have its zone. */
export const hostSchema = z
  .string()
  .max(1_024)
  .transform((text, context) => parsed(text, context, () => hostText(parseHost(text))));

/** An address that this machine listens on, or a name for one; a link-local address has its zone. */
export const listenHostSchema = z
  .string()
  .max(1_024)
  .transform((text, context) => parsed(text, context, () => hostText(withZone(parseHost(text)))));

function withZone(host: Host): Host {
  if (host.kind !== 'ipv6' || host.zone !== undefined || !isLinkLocal(host)) return host;
  throw new CoreError(
    'address-invalid',
    `${JSON.stringify(host.text)}: a link-local address needs its interface, as in ${host.text}%eth0`,
  );
}

/** The address of a web service that other machines use as well, its host in canonical form. */
export function webAddressSchema(protocols: readonly ('http' | 'https')[], maxLength: number) {
  return z
    .string()
    .max(maxLength)
    .transform((text, context) =>
      parsed(text, context, () => {
        const address = parseWebAddress(text);
        if (address.host.includes('%')) throw zoneRefused(text);
        if (protocols.includes(address.protocol)) return address.text;
        throw new CoreError('address-invalid', `${JSON.stringify(text)}: expected ${protocols.join(' or ')}`);
      }),
    );
}

function zoneRefused(text: string): CoreError {
  const why = 'the zone of an address is known to one machine only, so a name or URL for others has none';
  return new CoreError('address-invalid', `${JSON.stringify(text)}: ${why}`);
}

export const networkSchema = z.string().transform((text, context) => {
  const network = canonicalNetwork(text);
  if (network !== undefined) return network;
  const message = 'not a network: 10.1.0.0/16 or 2001:db8::/32, host bits zero; IPv4 is not written mapped into IPv6';
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

/** Why an operator does something: it is recorded in the audit log. */
export const reasonText = z.string().min(1).max(500);
