// PEM (RFC 7468): DER between its two lines, read strictly.
import { parseBase64, toBase64 } from '../bytes.ts';
import { CoreError } from '../error.ts';

export type PemLabel = 'CERTIFICATE' | 'CERTIFICATE REQUEST' | 'PUBLIC KEY';

/** A file of vendor roots has some hundred certificates; more is a mistake or an attack. */
const PEM_BLOCKS_MAX = 512;

const block = /-----BEGIN ([A-Z0-9 ]+)-----\s*([A-Za-z0-9+/=\s]*?)\s*-----END ([A-Z0-9 ]+)-----/g;

export function encodePem(label: PemLabel, der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/**
 * All blocks of one label, in order; text around them is allowed (RFC 7468 section 2), a block of another label is not.
 * Throws `encoding-invalid` for a broken block and when there is none.
 */
export function parsePem(text: string, label: PemLabel): readonly Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (const [, begin, body = '', end] of text.matchAll(block)) {
    if (begin !== label || end !== label) {
      throw new CoreError('encoding-invalid', `PEM: expected ${label}, found ${begin} to ${end}`);
    }
    if (blocks.length === PEM_BLOCKS_MAX) throw new CoreError('bytes-too-long', `PEM: over ${PEM_BLOCKS_MAX} blocks`);
    blocks.push(parseBase64(body.replaceAll(/\s/g, ''), `PEM ${label}`));
  }
  const marks = text.split('-----BEGIN ').length - 1;
  if (blocks.length === 0 || marks !== blocks.length) {
    throw new CoreError('encoding-invalid', `PEM: ${marks} blocks begin, ${blocks.length} of them are whole`);
  }
  return blocks;
}
