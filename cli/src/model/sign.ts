// `edgekeep model sign`: an OpenSSF Model Signing v1.0 bundle over a folder or file, or a plain signature over one file.
import { readFile, writeFile } from 'node:fs/promises';
import { signDetached } from '@edgekeep/core/model/signature/detached';
import { keyFingerprint } from '@edgekeep/core/model/signature/key-mode';
import type { Signer } from '@edgekeep/core/signer';
import { signModelFiles } from '@edgekeep/wire/file/model-signing';
import { type Arguments, type Command, exitCodes, UsageError } from '../command.ts';
import { readCertificateChain, readPrivateKey, readSigner } from './key-files.ts';
import { ignoredPaths } from './signed-path.ts';

export const command: Command = {
  usage:
    'model sign PATH --key KEY.pem [--certificate-chain CHAIN.pem] --signature FILE [--shards BYTES] [--ignore-path P]… [--detached]',
  help: `
Writes an OpenSSF Model Signing v1.0 bundle (sigstore bundle v0.3) that any OMS verifier accepts. .git, .gitattributes, .github, .gitignore
at the top of the folder and the signature's own file are left out. A symbolic link in the folder is an error.

--key                PEM private key: P-256, P-384 or P-521; with --detached also Ed25519
--certificate-chain  PEM, the key's own certificate first: verifiers then trust an authority instead of the key
--signature          the file for the signature
--shards             hash each file in pieces of this many bytes (default: whole files)
--ignore-path        leave this file or folder out; relative to PATH, may be repeated
--detached           PATH is one file; write a plain signature over it instead of a bundle: ECDSA in DER, as openssl dgst -sha256 -sign
                     writes it, or the 64 bytes of an Ed25519 key
`,
  positionals: { min: 1, max: 1 },
  options: {
    key: { type: 'string' },
    'certificate-chain': { type: 'string' },
    signature: { type: 'string' },
    shards: { type: 'string' },
    'ignore-path': { type: 'string', multiple: true },
    detached: { type: 'boolean' },
  },
  async run(args) {
    const [path = ''] = args.positionals;
    const out = args.required('signature');
    const keyFile = args.required('key');
    const signer = await readSigner(keyFile);
    const detached = args.flag('detached');
    const signature = detached ? await detachedSignature(path, keyFile, args) : await bundle(path, out, signer, args);
    await writeFile(out, signature);
    const fingerprint = keyFingerprint(signer.publicKey);
    const algorithm = detached ? detachedAlgorithm(signer.algorithm) : signer.algorithm;
    const value = { path, signature: out, detached, algorithm, fingerprint };
    return {
      exitCode: exitCodes.ok,
      value,
      text: `signed ${path} with ${algorithm} key ${fingerprint}: ${out}`,
    };
  },
};

function detachedAlgorithm(algorithm: Signer['algorithm']): string {
  return algorithm.replace(/sha\d+$/, 'sha256');
}

async function detachedSignature(path: string, keyFile: string, args: Arguments): Promise<Uint8Array> {
  for (const option of ['certificate-chain', 'shards', 'ignore-path']) {
    if (args.all(option).length > 0) throw new UsageError(`--${option} cannot be combined with --detached`);
  }
  // Ed25519 reads its message twice, so the file is held in memory.
  return signDetached(await readFile(path), await readPrivateKey(keyFile));
}

async function bundle(path: string, out: string, signer: Signer, args: Arguments): Promise<Uint8Array> {
  if (signer.algorithm === 'ed25519') throw new UsageError('an Ed25519 key signs single files: add --detached');
  const chainFile = args.option('certificate-chain');
  return signModelFiles(path, {
    signer,
    ...(chainFile === undefined ? {} : { chain: await readCertificateChain(chainFile) }),
    ...shards(args.option('shards')),
    ignorePaths: await ignoredPaths(path, args.all('ignore-path'), out),
  });
}

function shards(text: string | undefined): { readonly shardSize?: number } {
  if (text === undefined) return {};
  const shardSize = Number(text);
  if (!/^[1-9]\d*$/.test(text) || !Number.isSafeInteger(shardSize)) {
    throw new UsageError(`--shards takes a number of bytes, at least 1, not ${text}`);
  }
  return { shardSize };
}
