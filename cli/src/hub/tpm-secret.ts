// `edgekeep secrets tpm-seal|tpm-unseal`: a secret for unlocking a hub, kept by the TPM of the hub's machine (spec/platform-secrets.md). It
// is sealed like a model key for a device: an import blob that opens only in this TPM and in the boot state of the sealing.
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { boundSecret, boundWrapType } from '@edgekeep/core/access/wrap-context';
import { wrappedKeySchema } from '@edgekeep/core/access/wrapped-key';
import { concat, parseBase64url, toBase64url, utf8 } from '@edgekeep/core/bytes';
import { parseJson } from '@edgekeep/core/json';
import { makeImportBlob } from '@edgekeep/core/tpm/import-blob';
import { emptyPolicy, policyAuthValue, policyPcr } from '@edgekeep/core/tpm/policy';
import { parsePublic } from '@edgekeep/core/tpm/public-area';
import type { EndorsementKey } from '@edgekeep/hardware/root-of-trust';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { parseTpmAddress, type TpmAddress } from '@edgekeep/hardware/tpm/transport';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { z } from 'zod';
import { type Arguments, type Command, exitCodes, UsageError } from '../command.ts';
import { knownPin, type NewPin, newPin, pinOptions } from './tpm-pin.ts';

const secretLength = 32;
/** Nothing else that was sealed to this TPM is printed as a hub's secret. */
const context = { purpose: 'hub unlock' } as const;
/** Firmware and its settings, the boot loader and Secure Boot. */
const firmwarePcrs = '0,2,4,7';
/** With the kernel, its command line and the initrd: 8 and 9 (GRUB), 11 and 12 (a unified kernel image). */
const defaultPcrs = '0,2,4,7,8,9,11,12';
const kernelPcrs = [8, 9, 11];
const tpmOption = { tpm: { type: 'string' } } as const;
const tpmDefault = 'device:/dev/tpmrm0';
const tpmHelp = `--tpm       device:PATH, unix:PATH or tcp:HOST:PORT (default: ${tpmDefault})`;

const thief = {
  pcrs: `A thief of the whole machine who switches it on has a hub that unlocks itself and runs. They can attack it over its ports and in its memory; they cannot boot something else and read the keys. With a PIN (--pin) the machine alone opens nothing.`,
  pin: `A thief of the whole machine needs the PIN too. The TPM counts wrong ones and locks itself for a while after a few (tpm2_getcap properties-variable shows how many): a PIN of a few digits is enough, and somebody with the file and the machine can lock out the right one as well. Have a second unlocker.`,
} as const;

export const tpmSeal: Command = {
  usage: 'secrets tpm-seal FILE [--pin | --pin-file PATH] [--pcrs LIST] [--tpm ADDRESS]',
  help: `
Seals 32 random bytes and writes the result to FILE, which contains no readable secret. \`secrets tpm-unseal FILE\` is then a program that unlocks a hub:
name it in the setting unlockProgram, and give the hub a second unlocker, in case firmware, kernel or machine change.

Without a PIN: ${thief.pcrs}
With one: ${thief.pin}

--pin       ask for a PIN at the terminal, now and at each unsealing
--pin-file  the PIN alone on a line, in a file that others cannot read. Keep it away from the machine
--pcrs      PCRs of the SHA-256 bank that must be as they are now (default: ${defaultPcrs}; with a PIN ${firmwarePcrs}, so that
            an update of the kernel needs no new sealing)
${tpmHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...tpmOption, ...pinOptions, pcrs: { type: 'string' } },
  async run(args) {
    const [path = ''] = args.positionals;
    const pin = await newPin(args);
    const pcrs = parsePcrs(args.option('pcrs') ?? (pin === undefined ? defaultPcrs : firmwarePcrs));
    await using tpm = await TpmRootOfTrust.open(tpmAddress(args));
    const { endorsementKey } = await tpm.describe();
    const selection = { bank: 'sha256', pcrs } as const;
    const values = await tpm.readPcrs(selection);
    const { sealed, digest } = sealNow({ parent: endorsementKey, pcrs, values, pin });
    await writeNewFile(path, `${JSON.stringify(sealed, null, 2)}\n`);
    const bare = kernelPcrs.every((pcr) => values.get(pcr)?.every((byte) => byte === 0) !== false);
    const kernel = pcrs.some((pcr) => kernelPcrs.includes(pcr)) && bare;
    const warning = kernel
      ? `\nwarning: nothing was measured into PCRs ${kernelPcrs.join(', ')}: another kernel on this machine opens it too`
      : '';
    const text = `sealed under PCRs ${pcrs.join(', ')}${pin === undefined ? '' : ' and a PIN'} in ${path}${warning}\n${pin === undefined ? thief.pcrs : thief.pin}`;
    return { exitCode: exitCodes.ok, value: { file: path, pcrs, pcrDigest: digest, pin: pin !== undefined }, text };
  },
};

/** 32 random bytes under the present values of the PCRs, and where there is one the PIN. */
function sealNow(order: {
  readonly parent: EndorsementKey;
  readonly pcrs: readonly number[];
  readonly values: ReadonlyMap<number, Uint8Array>;
  readonly pin: NewPin | undefined;
}) {
  const { parent, pcrs, values, pin } = order;
  const ordered = pcrs.map((pcr) => values.get(pcr) ?? new Uint8Array(0));
  const digest = createHash('sha256')
    .update(concat(...ordered))
    .digest();
  const byPcrs = policyPcr(emptyPolicy(), [{ bank: 'sha256', pcrs }], digest);
  const secret = randomBytes(secretLength);
  const bound = boundSecret(secret, context);
  const blob = makeImportBlob({
    parentPublic: parsePublic(parent.publicArea),
    secret: bound,
    policyDigest: pin === undefined ? byPcrs : policyAuthValue(byPcrs),
    ...(pin !== undefined && { authValue: pin.authValue, countsGuesses: true }),
    randomBytes,
  });
  for (const bytes of [secret, bound]) bytes.fill(0);
  pin?.authValue.fill(0);
  const sealed = {
    type: boundWrapType,
    kind: 'tpm-import',
    publicArea: toBase64url(blob.publicArea),
    duplicate: toBase64url(blob.duplicate),
    encryptedSeed: toBase64url(blob.encryptedSeed),
    pcrs,
    parent: parent.kind,
    ...(pin !== undefined && { pin: { salt: toBase64url(pin.salt) } }),
  } as const;
  return { sealed, digest: digest.toString('hex') };
}

export const tpmUnseal: Command = {
  usage: 'secrets tpm-unseal FILE [--pin-file PATH] [--tpm ADDRESS]',
  help: `
Prints the secret of \`secrets tpm-seal\` to standard output, raw, and only into a pipe. Another TPM, or another boot state than at the sealing, is refused.
A PIN is asked for at the terminal, where the file needs one.

--pin-file  the PIN alone on a line, in a file that others cannot read
${tpmHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...tpmOption, 'pin-file': { type: 'string' } },
  bytesOnStdout: true,
  async run(args) {
    if (process.stdout.isTTY) throw new UsageError('the secret is written only into a pipe, not to a terminal');
    const [path = ''] = args.positionals;
    const { pin, ...rest } = parseJson(await readFile(path), fileSchema, path);
    const sealed = parseJson(utf8(JSON.stringify(rest)), wrappedKeySchema, path);
    // A file of the version before names no use; only the key of a model has an authorization value or terms.
    if (sealed.type === undefined && sealed.kind === 'tpm-import' && (sealed.authValue ?? sealed.terms) !== undefined) {
      throw new UsageError(`${path} is the key of a model, not a secret of \`secrets tpm-seal\``);
    }
    const authValue = pin === undefined ? undefined : await knownPin(args, parseBase64url(pin.salt, 'salt'));
    await using tpm = await TpmRootOfTrust.open(tpmAddress(args));
    const opened = authValue === undefined ? sealed : { ...sealed, authValue: toBase64url(authValue) };
    const secret = await tpm.openKey(opened, { context });
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(secret, (error) => (error instanceof Error ? reject(error) : resolve()));
    });
    secret.fill(0);
    return { exitCode: exitCodes.ok, value: undefined, text: '', stdoutTaken: true };
  },
};

/** A wrapped key, and how its authorization value is made from a PIN. */
const fileSchema = z.looseObject({
  pin: z.strictObject({ salt: z.string().regex(/^[A-Za-z0-9_-]{22}$/) }).optional(),
});

function tpmAddress(args: Arguments): TpmAddress {
  const address = parseTpmAddress(args.option('tpm') ?? tpmDefault);
  if (address === undefined) throw new UsageError('--tpm: expected device:PATH, unix:PATH or tcp:HOST:PORT');
  return address;
}

function parsePcrs(text: string): number[] {
  const pcrs = text.split(',').map((part) => (/^\d{1,2}$/.test(part) ? Number(part) : Number.NaN));
  const ascending = pcrs.every((pcr, at) => at === 0 || pcr > (pcrs[at - 1] ?? Number.NaN));
  // Anybody can reset 16 and 23; 17 and above belong to other starts of the machine.
  if (ascending && pcrs.every((pcr) => pcr <= 15)) return pcrs;
  throw new UsageError('--pcrs takes numbers from 0 to 15, ascending, with commas');
}
