// A page of ListObjectsV2. Keys come URL-encoded, because XML has no way to write some characters that a key may have.
import type { ListedObject } from '../../artifact/bucket.ts';

export interface ListedPage {
  readonly objects: readonly ListedObject[];
  /** Where the next page begins; undefined on the last. */
  readonly next: string | undefined;
}

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

/** Undefined for something else. */
export function parseListing(xml: string): ListedPage | undefined {
  if (!/<ListBucketResult[\s>]/.test(xml)) return undefined;
  const isEncoded = valueIn(xml, 'EncodingType') === 'url';
  const objects: ListedObject[] = [];
  for (const [, one = ''] of xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
    const key = keyOf(valueIn(one, 'Key') ?? '', isEncoded);
    const size = Number(valueIn(one, 'Size'));
    const modifiedMs = Date.parse(valueIn(one, 'LastModified') ?? '');
    if (key === undefined || !Number.isSafeInteger(size) || Number.isNaN(modifiedMs)) return undefined;
    objects.push({ key, size, modifiedMs });
  }
  const next = valueIn(xml, 'IsTruncated') === 'true' ? valueIn(xml, 'NextContinuationToken') : undefined;
  return { objects, next };
}

function valueIn(xml: string, name: string): string | undefined {
  const found = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return found?.replaceAll(
    /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(lt|gt|quot|apos|amp));/gi,
    (whole, decimal, hex, named) => {
      if (typeof named === 'string') return entities[named.toLowerCase()] ?? whole;
      const point = typeof decimal === 'string' ? Number(decimal) : Number.parseInt(String(hex), 16);
      return point <= 0x10_ff_ff ? String.fromCodePoint(point) : whole;
    },
  );
}

function keyOf(text: string, isEncoded: boolean): string | undefined {
  if (!isEncoded) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    // A broken encoding: no listing.
    return undefined;
  }
}
