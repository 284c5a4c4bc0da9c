// `edgekeep model keygen`: a publisher's key pair in two PEM files.
import { generateKeyPair, type KeyObject } from 'node:crypto';
import { unlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { keyFingerprint } from '@edgekeep/core/model/signature/key-mode';
import { encodePublisherKey } from '@edgekeep/core/model/signature/publisher-key';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { type Command, exitCodes, UsageError } from '../command.ts';

const curves = new Map([
  ['p256', 'P-256'],
  ['p384', 'P-384'],
  ['p521', 'P-521'],
]);

export const command: Command = {
  usage: 'model keygen [--type p256|p384|p521|ed25519] [--post-quantum] --out KEY.pem',
  help: `
Writes the private key to KEY.pem (PKCS#8, mode 0600, not encrypted) and the public key to KEY.pub.pem. Neither is ever overwritten.

--type  p256 (default), p384 or p521 sign bundles, and single files with --detached as openssl dgst -sha256 does; ed25519 signs single
        files with --detached for verifiers that call verify(signature, data) (spec/model-signature.md)
--post-quantum  a second key, of ML-DSA-65, in both files: with it models are signed by both, and both must verify
--out   the file for the private key
`,
  positionals: { min: 0, max: 0 },
  options: { type: { type: 'string' }, out: { type: 'string' }, 'post-quantum': { type: 'boolean' } },
  async run(args) {
    const type = args.option('type') ?? 'p256';
    const out = args.required('out');
    const { privateKey, publicKey } = await makeKeys(type);
    const second = args.flag('post-quantum') ? await makeSecond(type) : undefined;
    const publicOut = `${out.replace(/\.pem$/, '')}.pub.pem`;
    await writeNewFile(out, `${privatePem(privateKey)}${second === undefined ? '' : privatePem(second.privateKey)}`);
    try {
      await writeNewFile(publicOut, encodePublisherKey({ publicKey, postQuantum: second?.publicKey }), 0o644);
    } catch (error) {
      await unlink(out);
      throw error;
    }
    const fingerprint = keyFingerprint(publicKey);
    const value = { type, postQuantum: second !== undefined, privateKey: out, publicKey: publicOut, fingerprint };
    const text = `${type} key ${fingerprint}${second === undefined ? '' : ', with one of ml-dsa-65'}\nprivate: ${out}\npublic:  ${publicOut}`;
    return { exitCode: exitCodes.ok, value, text };
  },
};

function privatePem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

async function makeSecond(type: string): Promise<{ readonly privateKey: KeyObject; readonly publicKey: KeyObject }> {
  if (type === 'ed25519') throw new UsageError('--post-quantum goes with a key that signs bundles, not with ed25519');
  return promisify(generateKeyPair)('ml-dsa-65');
}

async function makeKeys(type: string): Promise<{ readonly privateKey: KeyObject; readonly publicKey: KeyObject }> {
  if (type === 'ed25519') return promisify(generateKeyPair)('ed25519');
  const namedCurve = curves.get(type);
  if (namedCurve === undefined) throw new UsageError(`--type takes p256, p384, p521 or ed25519, not ${type}`);
  return promisify(generateKeyPair)('ec', { namedCurve });
}
