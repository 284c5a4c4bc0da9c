// What the source of the product calls cryptography by: words in texts, and what it imports from node:crypto.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const packages = ['core', 'host', 'hardware', 'wire', 'guard', 'hub', 'agent', 'cli'];

/** Each word or import, and the files that have it. */
export interface Found {
  readonly words: ReadonlyMap<string, readonly string[]>;
  readonly imports: ReadonlyMap<string, readonly string[]>;
}

// Broad on purpose: a word too many costs a line in the table, a word too few hides an algorithm.
const vocabulary = new RegExp(
  String.raw`(?<![\w-])(?:${[
    String.raw`(?:sha|shake|keccak|blake|md|ripemd)-?\d[\w-]*`,
    'blake2[a-z0-9]*',
    String.raw`aes(?:-\w+)*`,
    String.raw`(?:x?chacha|salsa|poly|camellia|aria|des|3des)\d*[\w-]*\d[\w-]*`,
    String.raw`rc[2456]|tls_\w+`,
    String.raw`(?:ed|x|curve)(?:25519|448)\w*`,
    String.raw`p-?(?:192|224|256|384|521)`,
    String.raw`(?:prime|sec[pt]|brainpool)\w*\d\w*`,
    String.raw`ec(?:dh|dsa|dhe|mqv|ies)?(?:-p\d[\w-]*)?`,
    String.raw`(?:eddsa|dsa|sm[234])[\w-]*`,
    String.raw`rsa[\w-]*|oaep`,
    String.raw`(?:c|h|g|k)mac[\w-]*`,
    String.raw`h?kdf\w*|hpke[\w-]*|scrypt\w*|pbkdf\w*|argon\w*|bcrypt\w*`,
    String.raw`(?:ml|slh)-?(?:dsa|kem)[\w-]*|kyber\w*|dilithium\w*|falcon\w*|sphincs\w*|xwing|x-wing|(?:xmss|lms)\w*`,
    String.raw`(?:es|ps|rs|hs)\d{3}\w*|a\d{3}(?:gcm|kw)\w*`,
    String.raw`ckm_\w+`,
    String.raw`shamir[\w-]*`,
  ].join('|')})(?![\w-])`,
  'gi',
);

const text = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g;
const named =
  /\b(?:createHash|createHmac|createCipheriv|createDecipheriv|generateKeyPair|generateKeyPairSync|hash|hkdfSync|hkdf)\(\s*'([^']+)'/g;
const importing = /import \{([^}]+)\} from 'node:crypto'/g;

/** The words of cryptography in the text of one file, in lower case. Comments and the names of our own modules do not count. */
export function wordsIn(source: string): readonly string[] {
  const code = source
    .replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, '')
    .replaceAll(/\bfrom '(?:@edgekeep|node:|\.)[^']*';$/gm, '');
  const spoken = [...code.matchAll(text)].map(([literal]) => literal.replaceAll(/\$\{[^}]*\}/g, '…'));
  const inTexts = spoken.flatMap((literal) => [...literal.matchAll(vocabulary)].map(([word]) => word));
  // A function of node:crypto says which algorithm, in any word.
  const inCalls = [...code.matchAll(named)].map(([, name = '']) => name);
  return [...new Set([...inTexts, ...inCalls].map((word) => word.toLowerCase()))];
}

/** What a file imports from node:crypto, under its name there. */
export function importsIn(source: string): readonly string[] {
  const lists = [...source.matchAll(importing)].map(([, list = '']) => list);
  const names = lists.flatMap((list) => list.split(','));
  return names
    .map((name) =>
      name
        .trim()
        .replace(/^type /, '')
        .replace(/ as .*$/, ''),
    )
    .filter((name) => name !== '');
}

/** The same for every file of the product that is no test. */
export function scan(root: string): Found {
  const words = new Map<string, string[]>();
  const imports = new Map<string, string[]>();
  const add = (map: Map<string, string[]>, key: string, path: string) => map.set(key, [...(map.get(key) ?? []), path]);
  for (const path of packages.flatMap((name) => sourcesOf(root, join(root, name, 'src')))) {
    const source = readFileSync(join(root, path), 'utf8');
    for (const word of wordsIn(source)) add(words, word, path);
    for (const name of importsIn(source)) add(imports, name, path);
  }
  return { words, imports };
}

function sourcesOf(root: string, folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(
      (entry) =>
        entry.isFile() && entry.name.endsWith('.ts') && !/\.test\.ts$|^testing-|^testing\.ts$/.test(entry.name),
    )
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .toSorted();
}
