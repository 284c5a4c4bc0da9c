// `npm run cbom [-- FILE]`: writes the cryptography bill of materials (CycloneDX 1.6) to FILE, cbom.json without one, and the table of
// docs/design/post-quantum.md. tests/cbom.test.ts compares both with the source.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cbom, pageWith } from './cbom/document.ts';
import { scan } from './cbom/scan.ts';
import { z } from 'zod';

const root = dirname(import.meta.dirname);
const page = join(root, 'docs/design/post-quantum.md');
const { version } = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
const [file = 'cbom.json'] = process.argv.slice(2);

writeFileSync(file, `${JSON.stringify(cbom(scan(root), version), null, 2)}\n`);
writeFileSync(page, pageWith(readFileSync(page, 'utf8')));
console.log(`wrote ${file} and the table of docs/design/post-quantum.md`);
