// A trust file under the root of its hub: logs and attestation keys come from the key list that the root signed (spec/key-list.md, "Trust files").
import { readFile } from 'node:fs/promises';
import { certifiedTrust, type Trust } from '@edgekeep/core/access/trust';
import { isStale } from '@edgekeep/core/authority/key-list-follow';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';

export type Certified =
  | {
      readonly kind: 'certified';
      readonly trust: Trust;
      readonly lines: readonly string[];
      readonly value: { readonly keyList?: { readonly number: number; readonly tooOld: boolean } };
    }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/**
 * Without a root the file as it is. A receipt needs no clock, but a list that is too old is said: a later one may end a key that was stolen.
 */
export async function certifiedBy(path: string | undefined, trust: Trust): Promise<Certified> {
  if (path === undefined) return { kind: 'certified', trust, lines: [], value: {} };
  const roots = parsePem(await readFile(path, 'utf8'), 'CERTIFICATE').map(parseCertificate);
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const verdict = certifiedTrust(trust, roots, nowSeconds);
  if (verdict.kind === 'refused') return verdict;
  const { number, validUntilSeconds } = verdict.list;
  const tooOld = isStale(verdict.list, nowSeconds);
  const date = new Date(validUntilSeconds * 1_000).toISOString().slice(0, 10);
  const note = tooOld
    ? `too old since ${date}: a later list may end a key, ask the hub for its trust file`
    : `until ${date}`;
  const line = `  ${'key list'.padEnd(10)} number ${number}, signed by the root, ${note}`;
  return { kind: 'certified', trust: verdict.trust, lines: [line], value: { keyList: { number, tooOld } } };
}
