// Searches files for secrets as a thief would: as raw bytes, hexadecimal and base64 of either alphabet, at every offset, in pieces.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A piece of this length does not occur by chance; it is a multiple of base64 groups. */
const pieceLength = 12;

/** `name of the secret: file`, for each secret of which a file below `folder` contains a piece. */
export async function findSecrets(
  folder: string,
  secrets: ReadonlyMap<string, Uint8Array>,
): Promise<readonly string[]> {
  const needles = [...secrets].map(([name, secret]) => ({ name, forms: formsOf(secret) }));
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const bytes = await readFile(join(entry.parentPath, entry.name));
    for (const { name, forms } of needles) {
      if (forms.some((form) => bytes.includes(form))) found.push(`${name}: ${entry.name}`);
    }
  }
  return found;
}

function formsOf(secret: Uint8Array): readonly Buffer[] {
  return Array.from({ length: secret.length - pieceLength + 1 }, (_, at) => {
    const piece = Buffer.from(secret.subarray(at, at + pieceLength));
    const hex = piece.toString('hex');
    const texts = [hex, hex.toUpperCase(), piece.toString('base64'), piece.toString('base64url')];
    return [piece, ...texts.map((text) => Buffer.from(text))];
  }).flat();
}
