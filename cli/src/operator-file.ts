// The operator file of a hub: its address, the roots that may vouch for it, and a token. A file without a root vouches for nobody: Node would
// take an empty list for its own public authorities and show the token to any of their servers.
import { parseWebAddress } from '@edgekeep/core/canonical/endpoint';
import { CoreError } from '@edgekeep/core/error';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { hostNameSchema } from '@edgekeep/wire/api/texts';
import { isAbsolute } from 'node:path';
import { proxyAddressIn } from '@edgekeep/wire/link/proxy/settings';
import { z } from 'zod';

const rootPem = z.string().superRefine((text, context) => {
  const message = problemWith(text);
  if (message !== undefined) context.addIssue({ code: 'custom', message });
});

const absolutePath = z.string().max(4_096).refine(isAbsolute, 'expected an absolute path');

const proxyUrl = z
  .string()
  .max(1_024)
  .superRefine((text, context) => void proxyAddressIn(text, context));

/** A hub's address and its roots: an operator file, with or without its token. */
export const operatorAddress = z.object({
  url: z.string().max(2_048).transform(hubUrl),
  /** Other nodes of the same hub, which are tried where one is not reached: one root and one token for all. */
  otherUrls: z.array(z.string().max(2_048).transform(hubUrl)).max(16).optional(),
  serverName: hostNameSchema.optional(),
  root: rootPem,
  /** The HTTP proxy on the way (spec/http-proxy.md); `none`: directly, also where the environment names one. */
  proxy: z
    .union([
      z.literal('none'),
      z.strictObject({ url: proxyUrl, credentialsFile: absolutePath.optional(), caFile: absolutePath.optional() }),
    ])
    .optional(),
});

export const operatorFile = operatorAddress.extend({ token: z.string() });
export type Access = z.infer<typeof operatorFile>;

// `hub init` of an earlier version wrote an IPv6 address without its brackets.
const withoutBrackets = /^(https:\/\/)([0-9a-f:.]+)(:\d{1,5}\/?)$/i;

function hubUrl(text: string, context: z.RefinementCtx): string {
  try {
    const address = parseWebAddress(text.replace(withoutBrackets, bracketed));
    if (address.protocol === 'https') return address.text;
    context.addIssue({ code: 'custom', message: `${JSON.stringify(text)}: a hub is reached by https` });
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
  }
  return z.NEVER;
}

function bracketed(given: string, scheme: string, host: string, port: string): string {
  return host.includes(':') ? `${scheme}[${host}]${port}` : given;
}

function problemWith(text: string): string | undefined {
  if (text.trim() === '')
    return 'it names no root, so any server could pass for the hub: a hub that waits for its issuing CA has none yet; `edgekeep hub install-issuing` writes it in';
  try {
    parsePem(text, 'CERTIFICATE').forEach((der) => parseCertificate(der));
    return undefined;
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return `it names no root that can be read: ${error.message}`;
  }
}
