// Name constraints (RFC 5280 section 4.2.1.10): the names that an authority's certificate allows in certificates below it. Processed: DNS,
// URI host, IP address, e-mail address, directory. A name of another form under a constraint of that form is refused.
import type { Certificate } from './certificate.ts';
import { nameText, nameWithin } from './distinguished-name.ts';
import type { NameConstraints } from './extensions.ts';
import type { GeneralName } from './general-name.ts';

// PKCS #9 emailAddress: an e-mail name hidden in the subject (RFC 5280 section 4.2.1.10 constrains it as well).
const emailAttribute = '1.2.840.113549.1.9.1';

/** The names of this certificate that the constraints do not allow; empty when all are allowed. */
export function nameViolations(certificate: Certificate, constraints: NameConstraints): readonly string[] {
  return namesOf(certificate).flatMap((name) => {
    const permitted = constraints.permitted.filter(({ kind }) => kind === name.kind);
    const excluded = constraints.excluded.filter(({ kind }) => kind === name.kind);
    if (permitted.length + excluded.length === 0) return [];
    if (!isProcessed(name)) return [`${generalNameText(name)} is of a constrained form that is not processed`];
    if (permitted.length > 0 && !permitted.some((base) => within(name, base, 'permitted'))) {
      return [`${generalNameText(name)} is outside the permitted names`];
    }
    if (excluded.some((base) => within(name, base, 'excluded')))
      return [`${generalNameText(name)} is an excluded name`];
    return [];
  });
}

function namesOf({ subject, extensions }: Certificate): readonly GeneralName[] {
  const emails = subject.parts.flat().filter(({ oid }) => oid === emailAttribute);
  return [
    ...(subject.parts.length === 0 ? [] : [{ kind: 'directory' as const, name: subject }]),
    ...emails.map(({ text }) => ({ kind: 'email' as const, text: text ?? '' })),
    ...(extensions.subjectAltName?.names ?? []),
  ];
}

function isProcessed(name: GeneralName): boolean {
  switch (name.kind) {
    case 'dns':
    case 'ip':
    case 'directory':
      return true;
    case 'uri':
      // RFC 5280: a URI without a host name cannot be compared, and is refused under any URI constraint.
      return uriHost(name.text) !== undefined;
    case 'email':
      return mailHost(name.text) !== undefined;
    case 'other':
    case 'registered-id':
    case 'unsupported':
      return false;
  }
}

type List = 'permitted' | 'excluded';

function within(name: GeneralName, base: GeneralName, list: List): boolean {
  if (name.kind === 'dns' && base.kind === 'dns') return dnsWithin(name.text, base.text, list);
  if (name.kind === 'uri' && base.kind === 'uri') return hostWithin(uriHost(name.text) ?? '', base.text.toLowerCase());
  if (name.kind === 'email' && base.kind === 'email') return mailWithin(name.text, base.text);
  if (name.kind === 'ip' && base.kind === 'ip') return ipWithin(name.bytes, base.bytes, list);
  if (name.kind === 'directory' && base.kind === 'directory') return nameWithin(name.name, base.name);
  return false;
}

function dnsWithin(name: string, base: string, list: List): boolean {
  const host = name.toLowerCase();
  const domain = base.toLowerCase();
  if (domain === '') return true;
  const suffix = domain.startsWith('.') ? domain : `.${domain}`;
  if (host === domain || host.endsWith(suffix)) return true;
  // `*.example.com` means names below example.com, including an excluded `host.example.com`.
  return list === 'excluded' && host.startsWith('*.') && `.${domain}`.endsWith(host.slice(1));
}

// A constraint on URIs is one host, or, with a leading dot, every host below a domain.
function hostWithin(host: string, base: string): boolean {
  return base.startsWith('.') ? host.endsWith(base) : host === base;
}

// A constraint on e-mail addresses is one address, one host, or, with a leading dot, every host below a domain. The part before the last @
// is case-sensitive.
function mailWithin(address: string, base: string): boolean {
  const host = mailHost(address) ?? '';
  const baseHost = mailHost(base);
  if (baseHost === undefined) return hostWithin(host, base.toLowerCase());
  return host === baseHost && address.slice(0, -host.length) === base.slice(0, -baseHost.length);
}

function mailHost(address: string): string | undefined {
  const at = address.lastIndexOf('@');
  return at < 1 || at === address.length - 1 ? undefined : address.slice(at + 1).toLowerCase();
}

function uriHost(uri: string): string | undefined {
  const host = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([a-z0-9._-]+)(?::\d*)?(?:[/?#]|$)/i.exec(uri)?.[1]?.toLowerCase();
  return host === undefined || /^[\d.]+$/.test(host) ? undefined : host;
}

// The base is an address and a mask of the same length. With any other length it cannot be compared: it permits nothing and excludes
// everything.
function ipWithin(address: Uint8Array, base: Uint8Array, list: List): boolean {
  const known = (length: number) => length === 4 || length === 16;
  if (!known(address.length) || !known(base.length / 2)) return list === 'excluded';
  if (base.length !== address.length * 2) return false;
  return address.every((octet, at) => {
    const mask = base[address.length + at] ?? 0xff;
    return (octet & mask) === ((base[at] ?? 0) & mask);
  });
}

function generalNameText(name: GeneralName): string {
  switch (name.kind) {
    case 'dns':
    case 'uri':
    case 'email':
      return `the ${name.kind} name ${JSON.stringify(name.text)}`;
    case 'ip':
      return `the IP address ${Array.from(name.bytes).join('.')}`;
    case 'directory':
      return `the name ${nameText(name.name)}`;
    case 'other':
    case 'registered-id':
      return `the ${name.kind} name ${name.oid}`;
    case 'unsupported':
      return `a name with tag ${name.tag}`;
  }
}
