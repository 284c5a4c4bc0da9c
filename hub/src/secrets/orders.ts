// The unlockers that an operator asks for on the command line: `passphrase`, `shares:3/5`, `program:/path argument…`, `none`.
import { makeFolder } from '@edgekeep/host/make-folder';
import { join, relative, resolve, sep } from 'node:path';
import { HubError } from '../common/error.ts';
import { parseNewPassphrase } from './passphrase.ts';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { secretFromProgram } from './program.ts';
import { SHARES_MAX } from './sealed-file.ts';
import { encodeShareFile, type Share } from './share.ts';
import { readCredential } from './sources.ts';
import { askOnTerminal, readSecretLine } from './terminal.ts';
import type { NewUnlocker } from './unlock.ts';

export interface OrderSources {
  readonly passphraseFd?: number | undefined;
  /** The folder for share files; required for shares, and outside the data folder. */
  readonly shareFolder?: string | undefined;
  readonly dataFolder: string;
  readonly unlockProgram: readonly string[];
}

/** The program behind `program:…`, split at spaces; undefined when the word does not name one. */
export function programOf(words: readonly string[]): readonly string[] | undefined {
  const word = words.find((each) => each.startsWith('program:'));
  return word
    ?.slice('program:'.length)
    .split(' ')
    .filter((part) => part !== '');
}

/** Parses the words into orders; asks for a passphrase where one is needed. `none` alone returns no unlocker. */
export async function parseUnlockerOrders(
  words: readonly string[],
  sources: OrderSources,
): Promise<readonly NewUnlocker[]> {
  if (words.includes('none')) {
    if (words.length > 1) throw new HubError('request-invalid', '`none` cannot be combined with another unlocker');
    return [];
  }
  const orders: NewUnlocker[] = [];
  for (const word of words) orders.push(await parseOrder(word, sources));
  return orders;
}

async function parseOrder(word: string, sources: OrderSources): Promise<NewUnlocker> {
  if (word === 'passphrase') return { kind: 'passphrase', passphrase: await newPassphrase(sources.passphraseFd) };
  if (word === 'program' || word.startsWith('program:')) {
    return { kind: 'program', secret: await secretFromProgram(sources.unlockProgram) };
  }
  const [, needed, made] = (/^shares:(\d{1,2})\/(\d{1,2})$/.exec(word) ?? []).map(Number);
  if (needed === undefined || made === undefined || needed < 2 || made < needed || made > SHARES_MAX) {
    throw new HubError(
      'request-invalid',
      `${word}: expected passphrase, shares:K/N with 2 <= K <= N <= ${SHARES_MAX}, program:/path or none`,
    );
  }
  const folder = shareFolder(sources);
  return { kind: 'shares', needed, made, keep: (shares) => writeShares(folder, shares) };
}

async function newPassphrase(descriptor: number | undefined): Promise<string> {
  if (descriptor !== undefined) return parseNewPassphrase(await readSecretLine(descriptor));
  const credential = await readCredential();
  if (credential !== undefined) return parseNewPassphrase(credential);
  const first = await askOnTerminal('New passphrase of the hub: ');
  if (first === undefined) {
    throw new HubError('keys-locked', 'no terminal to ask for a passphrase: give one with --passphrase-fd N');
  }
  const passphrase = parseNewPassphrase(first);
  if ((await askOnTerminal('Once more: ')) !== first)
    throw new HubError('unlock-refused', 'the two passphrases differ: nothing was changed');
  return passphrase;
}

function shareFolder({ shareFolder: folder, dataFolder }: OrderSources): string {
  if (folder === undefined)
    throw new HubError('request-invalid', 'shares need --share-folder DIR, where they are written');
  if (isInside(dataFolder, folder)) {
    throw new HubError(
      'request-invalid',
      `${folder} is in the data folder: shares in the same folder as the keys protect nothing`,
    );
  }
  return folder;
}

/** Whether `path` is the folder or inside it. */
export function isInside(folder: string, path: string): boolean {
  const way = relative(resolve(folder), resolve(path));
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`));
}

async function writeShares(folder: string, shares: readonly Share[]): Promise<void> {
  await makeFolder(folder, { mode: 0o700 });
  for (const [at, share] of shares.entries()) {
    await writeNewFile(join(folder, `share-${at + 1}-of-${share.made}.txt`), encodeShareFile(share, at + 1));
  }
}
