// `edgekeep secrets pkcs11-seal|pkcs11-unseal`: a secret for unlocking a hub, kept by a PKCS#11 token on the hub's machine
// (spec/platform-secrets.md): sealed to a P-256 key that was made in the token and never leaves it (HPKE, RFC 9180).
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { boundWrapType, encodeWrapContext } from '@edgekeep/core/access/wrap-context';
import { wrappedKeySchema } from '@edgekeep/core/access/wrapped-key';
import { parseHex, toBase64url, toHex } from '@edgekeep/core/bytes';
import { hpkeSeal } from '@edgekeep/core/identity/hpke';
import { encodeP256Point, parseP256Point } from '@edgekeep/core/identity/p256-point';
import { parseJson } from '@edgekeep/core/json';
import { openWrappedKey } from '@edgekeep/hardware/pkcs11/key-opening';
import { type TokenPlace, TokenSession } from '@edgekeep/hardware/pkcs11/token-session';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { z } from 'zod';
import { type Command, exitCodes, UsageError } from '../command.ts';
import { tokenChoice, tokenChoiceOptions } from '../token-choice.ts';

const secretLength = 32;
/** Nothing else that was sealed to this token opens as a hub's secret, nor the other way round. `leaseId` is for files of the version before. */
const use = { context: { purpose: 'hub unlock' }, leaseId: 'edgekeep hub unlock' } as const;
// Different from a device's: a hub and a device may share a token.
const keyLabels = { signing: 'edgekeep-hub-signing', agreement: 'edgekeep-hub-unlock' };

const point = z.string().regex(/^[0-9a-f]{130}$/);
const path = z.string().min(1).max(1_024).refine(isAbsolute, 'expected an absolute path');
const sealedSchema = z.strictObject({
  type: z.literal('edgekeep-token-secret/v1'),
  module: path,
  token: z.union([
    z.strictObject({ label: z.string().min(1).max(32) }),
    z.strictObject({ slot: z.int().min(0) }),
    z.strictObject({}),
  ]),
  pinFile: path,
  /** Uncompressed points: the token must hold exactly these keys. */
  keys: z.strictObject({ signing: point, agreement: point }),
  wrapped: wrappedKeySchema,
});

export const pkcs11Seal: Command = {
  usage: 'secrets pkcs11-seal FILE --module PATH --pin-file PATH [--token LABEL | --slot N]',
  help: `
Seals 32 random bytes to a key in the token and writes the result to FILE, which contains no readable secret. \`secrets pkcs11-unseal FILE\` is then a
program that unlocks a hub: name it in the setting unlockProgram, and give the hub a second unlocker, in case the token is lost.

--module    the PKCS#11 library of the token's vendor
--pin-file  the token's PIN, alone in a file that others cannot read; it is not copied
--token     the token's label; without it and --slot the only token there is
--slot      its slot, where labels do not distinguish tokens
`,
  positionals: { min: 1, max: 1 },
  options: {
    ...tokenChoiceOptions,
    module: { type: 'string' },
    'pin-file': { type: 'string' },
  },
  async run(args) {
    const [file = ''] = args.positionals;
    const place: TokenPlace = {
      module: resolve(args.required('module')),
      pinFile: resolve(args.required('pin-file')),
      token: tokenChoice(args),
      keyLabels,
    };
    await using token = await TokenSession.open(place);
    const secret = randomBytes(secretLength);
    const { signing, agreement } = token.publicKeys;
    const context = { info: encodeWrapContext(use.context), aad: new Uint8Array(0) };
    const { encapsulatedKey, ciphertext } = hpkeSeal({ recipientPublicKey: agreement, plaintext: secret, ...context });
    secret.fill(0);
    const wrapped = {
      type: boundWrapType,
      kind: 'hpke',
      encapsulatedKey: toBase64url(encapsulatedKey),
      ciphertext: toBase64url(ciphertext),
    } as const;
    const sealed: z.infer<typeof sealedSchema> = {
      type: 'edgekeep-token-secret/v1',
      module: place.module,
      token: tokenChoice(args),
      pinFile: place.pinFile,
      keys: { signing: toHex(encodeP256Point(signing)), agreement: toHex(encodeP256Point(agreement)) },
      wrapped,
    };
    await writeNewFile(file, `${JSON.stringify(sealed, null, 2)}\n`);
    const { label } = token.description;
    return { exitCode: exitCodes.ok, value: { file, token: label }, text: `sealed to token ${label} in ${file}` };
  },
};

export const pkcs11Unseal: Command = {
  usage: 'secrets pkcs11-unseal FILE',
  help: `
Prints the secret of \`secrets pkcs11-seal\` to standard output, raw, and only into a pipe. Another token, or the same one with other keys, is refused.
`,
  positionals: { min: 1, max: 1 },
  options: {},
  bytesOnStdout: true,
  async run(args) {
    if (process.stdout.isTTY) throw new UsageError('the secret is written only into a pipe, not to a terminal');
    const [file = ''] = args.positionals;
    const { module, token: choice, pinFile, keys, wrapped } = parseJson(await readFile(file), sealedSchema, file);
    const known = {
      signing: parseP256Point(parseHex(keys.signing, file)),
      agreement: parseP256Point(parseHex(keys.agreement, file)),
    };
    await using token = await TokenSession.open({ module, token: choice, pinFile, keyLabels }, known);
    const agreement = { publicKey: known.agreement, agree: token.agree.bind(token) };
    const secret = await openWrappedKey(wrapped, use, agreement);
    await new Promise<void>((fulfil, reject) => {
      process.stdout.write(secret, (error) => (error instanceof Error ? reject(error) : fulfil()));
    });
    secret.fill(0);
    return { exitCode: exitCodes.ok, value: undefined, text: '', stdoutTaken: true };
  },
};
