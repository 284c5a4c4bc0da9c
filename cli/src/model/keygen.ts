// `edgekeep model keygen`: a publisher's key pair in two PEM files.
import { generateKeyPair, type KeyObject } from 'node:crypto';
import { unlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { encodePublicKeyPem } from '@edgekeep/core/identity/public-key';
import { keyFingerprint } from '@edgekeep/core/model/signature/key-mode';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { type Command, exitCodes, UsageError } from '../command.ts';

const curves = new Map([
  ['p256', 'P-256'],
  ['p384', 'P-384'],
  ['p521', 'P-521'],
]);

export const command: Command = {
  usage: 'model keygen [--type p256|p384|p521|ed25519] --out KEY.pem',
  help: `
Writes the private key to KEY.pem (PKCS#8, mode 0600, not encrypted) and the public key to KEY.pub.pem. Neither is ever overwritten.

--type  p256 (default), p384 or p521 sign bundles; ed25519 signs single files with --detached
--out   the file for the private key
`,
  positionals: { min: 0, max: 0 },
  options: { type: { type: 'string' }, out: { type: 'string' } },
  async run(args) {
    const type = args.option('type') ?? 'p256';
    const out = args.required('out');
    const { privateKey, publicKey } = await makeKeys(type);
    const publicOut = `${out.replace(/\.pem$/, '')}.pub.pem`;
    await writeNewFile(out, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    try {
      await writeNewFile(publicOut, encodePublicKeyPem(publicKey), 0o644);
    } catch (error) {
      await unlink(out);
      throw error;
    }
    const value = { type, privateKey: out, publicKey: publicOut, fingerprint: keyFingerprint(publicKey) };
    const text = `${type} key ${value.fingerprint}\nprivate: ${out}\npublic:  ${publicOut}`;
    return { exitCode: exitCodes.ok, value, text };
  },
};

async function makeKeys(type: string): Promise<{ readonly privateKey: KeyObject; readonly publicKey: KeyObject }> {
  if (type === 'ed25519') return promisify(generateKeyPair)('ed25519');
  const namedCurve = curves.get(type);
  if (namedCurve === undefined) throw new UsageError(`--type takes p256, p384, p521 or ed25519, not ${type}`);
  return promisify(generateKeyPair)('ec', { namedCurve });
}
