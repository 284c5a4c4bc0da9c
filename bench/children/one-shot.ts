// A peer of bench/seal.ts: a whole file as one AES-256-GCM message, in memory. `one-shot.ts seal|open KEY IN OUT`; OUT is IV, ciphertext, tag.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

const [verb, keyPath = '', from = '', to = ''] = process.argv.slice(2);
const key = readFileSync(keyPath);
const input = readFileSync(from);
if (verb === 'seal') {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  writeFileSync(to, iv);
  writeFileSync(to, cipher.update(input), { flag: 'a' });
  cipher.final();
  writeFileSync(to, cipher.getAuthTag(), { flag: 'a' });
} else {
  const decipher = createDecipheriv('aes-256-gcm', key, input.subarray(0, 12));
  decipher.setAuthTag(input.subarray(-16));
  const plaintext = decipher.update(input.subarray(12, -16));
  decipher.final();
  writeFileSync(to, plaintext);
}
