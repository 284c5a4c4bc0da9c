// Bodies of EST (RFC 7030 section 4, RFC 8951 section 3): always base64, for any transfer-encoding header; read with or
// without line ends, written without.
import { parseBase64, parseUtf8, toBase64 } from '@edgekeep/core/bytes';
import { HubError } from '../../common/error.ts';

/** The octets of a body; anything but base64 and white space is `request-invalid`. */
export function parseEstBody(body: Uint8Array): Uint8Array {
  const text = parseUtf8(body, 'EST body').replaceAll(/[\r\n\t ]/g, '');
  if (text === '')
    throw new HubError('request-invalid', 'the body is empty: send a certificate request, DER in base64');
  return parseBase64(text, 'EST body');
}

/** One line: RFC 8951 section 3.1 has base64 by RFC 4648 section 4, without line ends; strongSwan's client reads no other. */
export function encodeEstBody(bytes: Uint8Array): string {
  return toBase64(bytes);
}

export interface BasicCredentials {
  readonly user: string;
  readonly password: string;
}

/** HTTP Basic (RFC 7617), UTF-8; undefined without such a header, `request-invalid` for a header that cannot be read. */
export function parseBasic(header: string | undefined): BasicCredentials | undefined {
  if (header === undefined) return undefined;
  const [, encoded] = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(header) ?? [];
  if (encoded === undefined) throw new HubError('request-invalid', 'the authorization header must be HTTP Basic');
  const text = parseUtf8(parseBase64(encoded, 'authorization'), 'authorization');
  const colon = text.indexOf(':');
  if (colon === -1) throw new HubError('request-invalid', 'HTTP Basic needs a user name and a password');
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
