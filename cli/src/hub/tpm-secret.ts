// `edgekeep secrets tpm-seal|tpm-unseal`: a secret for unlocking a hub, kept by the TPM of the hub's machine (spec/platform-secrets.md). It
// is sealed like a model key for a device: an import blob that opens only in this TPM and in the boot state of the sealing.
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { boundSecret, boundWrapType } from '@edgekeep/core/access/wrap-context';
import { wrappedKeySchema } from '@edgekeep/core/access/wrapped-key';
import { concat, toBase64url } from '@edgekeep/core/bytes';
import { parseJson } from '@edgekeep/core/json';
import { makeImportBlob } from '@edgekeep/core/tpm/import-blob';
import { emptyPolicy, policyPcr } from '@edgekeep/core/tpm/policy';
import { parsePublic } from '@edgekeep/core/tpm/public-area';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { parseTpmAddress, type TpmAddress } from '@edgekeep/hardware/tpm/transport';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { type Arguments, type Command, exitCodes, UsageError } from '../command.ts';

const secretLength = 32;
/** Nothing else that was sealed to this TPM is printed as a hub's secret. */
const context = { purpose: 'hub unlock' } as const;
/** Firmware and its settings, the boot loader and secure boot; not the kernel, which every system update changes. */
const defaultPcrs = '0,2,4,7';
const tpmOption = { tpm: { type: 'string' } } as const;
const tpmDefault = 'device:/dev/tpmrm0';
const tpmHelp = `--tpm       device:PATH, unix:PATH or tcp:HOST:PORT (default: ${tpmDefault})`;

export const tpmSeal: Command = {
  usage: 'secrets tpm-seal FILE [--pcrs LIST] [--tpm ADDRESS]',
  help: `
Seals 32 random bytes and writes the result to FILE, which contains no readable secret. \`secrets tpm-unseal FILE\` is then a program that unlocks a hub:
name it in the setting unlockProgram, and give the hub a second unlocker, in case firmware or machine change.

--pcrs      PCRs of the SHA-256 bank that must be as they are now (default: ${defaultPcrs})
${tpmHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...tpmOption, pcrs: { type: 'string' } },
  async run(args) {
    const [path = ''] = args.positionals;
    const pcrs = parsePcrs(args.option('pcrs') ?? defaultPcrs);
    await using tpm = await TpmRootOfTrust.open(tpmAddress(args));
    const { endorsementKey } = await tpm.describe();
    const selection = { bank: 'sha256', pcrs } as const;
    const values = await tpm.readPcrs(selection);
    const ordered = pcrs.map((pcr) => values.get(pcr) ?? new Uint8Array(0));
    const digest = createHash('sha256')
      .update(concat(...ordered))
      .digest();
    const secret = randomBytes(secretLength);
    const bound = boundSecret(secret, context);
    const blob = makeImportBlob({
      parentPublic: parsePublic(endorsementKey.publicArea),
      secret: bound,
      policyDigest: policyPcr(emptyPolicy(), [selection], digest),
      randomBytes,
    });
    for (const bytes of [secret, bound]) bytes.fill(0);
    const sealed = {
      type: boundWrapType,
      kind: 'tpm-import',
      publicArea: toBase64url(blob.publicArea),
      duplicate: toBase64url(blob.duplicate),
      encryptedSeed: toBase64url(blob.encryptedSeed),
      pcrs,
      parent: endorsementKey.kind,
    } as const;
    await writeNewFile(path, `${JSON.stringify(sealed, null, 2)}\n`);
    return {
      exitCode: exitCodes.ok,
      value: { file: path, pcrs },
      text: `sealed under PCRs ${pcrs.join(', ')} in ${path}`,
    };
  },
};

export const tpmUnseal: Command = {
  usage: 'secrets tpm-unseal FILE [--tpm ADDRESS]',
  help: `
Prints the secret of \`secrets tpm-seal\` to standard output, raw, and only into a pipe. Another TPM, or another boot state than at the sealing, is refused.

${tpmHelp}
`,
  positionals: { min: 1, max: 1 },
  options: tpmOption,
  async run(args) {
    if (process.stdout.isTTY) throw new UsageError('the secret is written only into a pipe, not to a terminal');
    const [path = ''] = args.positionals;
    const sealed = parseJson(await readFile(path), wrappedKeySchema, path);
    // A file of the version before names no use; only the key of a model has an authorization value or terms.
    if (sealed.type === undefined && sealed.kind === 'tpm-import' && (sealed.authValue ?? sealed.terms) !== undefined) {
      throw new UsageError(`${path} is the key of a model, not a secret of \`secrets tpm-seal\``);
    }
    await using tpm = await TpmRootOfTrust.open(tpmAddress(args));
    const secret = await tpm.openKey(sealed, { context });
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(secret, (error) => (error instanceof Error ? reject(error) : resolve()));
    });
    secret.fill(0);
    return { exitCode: exitCodes.ok, value: undefined, text: '', stdoutTaken: true };
  },
};

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
