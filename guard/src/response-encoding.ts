// Compresses an answer as the client asks: gzip or deflate, and only where the client names it. Follows spec/inference.md section 4.
import { promisify } from 'node:util';
import { deflate, gzip, constants } from 'node:zlib';
import { COMPRESSED_BYTES_MIN } from './limits.ts';

const packers = { gzip: promisify(gzip), deflate: promisify(deflate) } as const;
type Encoding = keyof typeof packers;

/** `encoding` is undefined for a body that is sent as it is. */
export async function packed(
  body: Uint8Array,
  acceptEncoding: string | readonly string[] | undefined,
): Promise<{ readonly body: Uint8Array; readonly encoding: Encoding | undefined }> {
  const encoding = body.length < COMPRESSED_BYTES_MIN ? undefined : wantedEncoding(acceptEncoding);
  if (encoding === undefined) return { body, encoding };
  return { body: await packers[encoding](body, { level: constants.Z_BEST_SPEED }), encoding };
}

/** The one of gzip and deflate with the highest quality (RFC 9110 section 12.5.3); the first of equals. */
function wantedEncoding(header: string | readonly string[] | undefined): Encoding | undefined {
  if (typeof header !== 'string') return undefined;
  const named = header.split(',').map((part) => {
    const [coding = '', ...parameters] = part.split(';').map((word) => word.trim().toLowerCase());
    const quality = parameters.find((word) => word.startsWith('q='));
    return { coding, quality: quality === undefined ? 1 : Number(quality.slice(2)) };
  });
  const [best] = named
    .filter(({ coding, quality }) => isEncoding(coding) && quality > 0)
    .toSorted((one, other) => other.quality - one.quality);
  return best !== undefined && isEncoding(best.coding) ? best.coding : undefined;
}

function isEncoding(coding: string): coding is Encoding {
  return Object.hasOwn(packers, coding);
}
