// The place of a root's key: in its folder under a passphrase, or in a PKCS#11 token that it never leaves.
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CoreError } from '@edgekeep/core/error';
import { publicKeyOf } from '@edgekeep/core/identity/certificate';
import { type Signer, signerFromKey } from '@edgekeep/core/signer';
import { idevidSigner, type IdevidPlace } from '@edgekeep/hardware/pkcs11/token-idevid';
import { askOnTerminal, readSecretLine } from '@edgekeep/host/secret-input';
import { type Arguments, UsageError } from '../command.ts';
import { type OpenRoot, readRootCertificate, rootFileNames, writeRootKey } from './root-folder.ts';

export const keyOptions = {
  folder: { type: 'string' },
  pkcs11: { type: 'string' },
  token: { type: 'string' },
  slot: { type: 'string' },
  'pin-file': { type: 'string' },
  'key-label': { type: 'string' },
  'passphrase-fd': { type: 'string' },
} as const;
export const keyUsage =
  '--folder DIR [--passphrase-fd N | --pkcs11 MODULE [--token LABEL | --slot N] --pin-file FILE [--key-label LABEL]]';
export const keyHelp = `--folder         the root's folder: its certificate, its ceremony record and, without --pkcs11, its key
--passphrase-fd  read the passphrase of the key from this file descriptor; without it the terminal asks
--pkcs11         the vendor's PKCS#11 library: the key is in a token and never leaves it
--token          the token's label; without it and --slot the only token there is
--slot           its slot number, where labels do not distinguish tokens
--pin-file       the token's user PIN alone on a line, in a file that others cannot read
--key-label      the key's label in the token (default: edgekeep-root)`;

const defaultLabel = 'edgekeep-root';
/** Twelve characters are weak protection; the minimum prevents an empty passphrase. */
const PASSPHRASE_CHARACTERS_MIN = 12;

/** Makes the key. In a folder it is encrypted unless `plain` is set. */
export async function makeRootKey(args: Arguments, plain: boolean): Promise<Signer> {
  if (args.option('pkcs11') !== undefined) {
    const place = placeOf(args);
    if ((await idevidSigner(place, { make: false })) !== undefined)
      throw new CoreError(
        'key-invalid',
        `the token has a key ${place.idevidLabel} already: name another one with --key-label`,
      );
    const made = await idevidSigner(place, { make: true });
    if (made === undefined) throw new TypeError('the new key cannot be found');
    return made;
  }
  const passphrase = plain ? undefined : await askNewPassphrase(args);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeRootKey(args.required('folder'), privateKey, passphrase);
  return signerFromKey(privateKey);
}

/** The root of `folder` with its key; refuses a key that does not match the certificate. */
export async function openRoot(args: Arguments, folder = args.required('folder')): Promise<OpenRoot> {
  const certificate = await readRootCertificate(folder);
  const signer = await openKey(args, folder);
  if (signer === undefined)
    throw new CoreError('key-invalid', 'the token has no such key: is it the right one, and --key-label?');
  if (!signer.publicKey.equals(publicKeyOf(certificate)))
    throw new CoreError('key-invalid', `the key is not the one of ${join(folder, rootFileNames.certificate)}`);
  return { folder, certificate, signer };
}

async function openKey(args: Arguments, folder: string): Promise<Signer | undefined> {
  if (args.option('pkcs11') !== undefined) return idevidSigner(placeOf(args), { make: false });
  const path = join(folder, rootFileNames.key);
  const pem = await readFile(path, 'utf8');
  const encrypted = pem.includes('ENCRYPTED');
  return signerFromKey(encrypted ? openEncrypted(pem, path, await askPassphrase(args, folder)) : createPrivateKey(pem));
}

function openEncrypted(pem: string, path: string, passphrase: string): KeyObject {
  try {
    return createPrivateKey({ key: pem, passphrase });
  } catch (cause) {
    throw new CoreError('key-invalid', `${path} does not open with this passphrase`, { cause });
  }
}

function placeOf(args: Arguments): IdevidPlace & { readonly idevidLabel: string } {
  const slot = args.option('slot');
  if (slot !== undefined && !/^\d{1,10}$/.test(slot)) throw new UsageError('--slot takes a number');
  return {
    module: resolve(args.required('pkcs11')),
    token: { label: args.option('token'), slot: slot === undefined ? undefined : Number(slot) },
    pinFile: args.required('pin-file'),
    idevidLabel: args.option('key-label') ?? defaultLabel,
  };
}

async function askPassphrase(args: Arguments, folder: string): Promise<string> {
  const given = await readGiven(args);
  if (given !== undefined) return given;
  const typed = await askOnTerminal(`Passphrase of the root in ${folder}: `);
  if (typed === undefined) throw new UsageError('the key is encrypted: give --passphrase-fd N, or use a terminal');
  return typed;
}

async function askNewPassphrase(args: Arguments): Promise<string> {
  const given = await readGiven(args);
  const passphrase = given ?? (await askOnTerminal('New passphrase of the root: '));
  if (passphrase === undefined) throw new UsageError('give --passphrase-fd N, use a terminal, or use --plain');
  if (passphrase.length < PASSPHRASE_CHARACTERS_MIN)
    throw new UsageError(`a passphrase of at least ${PASSPHRASE_CHARACTERS_MIN} characters is needed`);
  if (given === undefined && (await askOnTerminal('Once more: ')) !== passphrase)
    throw new UsageError('the two passphrases differ: nothing was made');
  return passphrase;
}

async function readGiven(args: Arguments): Promise<string | undefined> {
  const descriptor = args.option('passphrase-fd');
  if (descriptor === undefined) return undefined;
  if (!/^\d{1,3}$/.test(descriptor)) throw new UsageError('--passphrase-fd takes the number of a file descriptor');
  return readSecretLine(Number(descriptor));
}
