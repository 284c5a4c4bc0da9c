// Where secrets for unlocking come from: a file descriptor, a systemd credential, share files, the program of the settings, the terminal.
// Never an argument or an environment variable: other processes can read both.
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HubError } from '../common/error.ts';
import { secretFromProgram } from './program.ts';
import type { SealedFile, Unlocker } from './sealed-file.ts';
import { encodeShare, parseShare, parseShareFile, type Share, SHARE_FILE_BYTES_MAX } from './share.ts';
import { askOnTerminal, readSecretLine } from './terminal.ts';
import type { Offer } from './unlock.ts';
import type { UnlockRequest } from './unlock-message.ts';

/** The systemd credential that holds the passphrase (LoadCredential=, LoadCredentialEncrypted=). */
const credentialName = 'edgekeep-passphrase';

export interface UnlockSources {
  /** A passphrase is read from here up to the end of the line. */
  readonly passphraseFd?: number | undefined;
  readonly shareFiles?: readonly string[];
  /** The program of the settings and its arguments; empty when there is none. */
  readonly unlockProgram: readonly string[];
}

/** Explicit input comes first, then sources that need no person, then the terminal. Throws `keys-locked` when there is nothing to offer. */
export async function gatherOffer(
  { unlockers }: Pick<SealedFile, 'unlockers'>,
  sources: UnlockSources,
): Promise<Offer> {
  const has = (kind: Unlocker['kind']) => unlockers.some((unlocker) => unlocker.kind === kind);
  if (sources.passphraseFd !== undefined) {
    return { kind: 'passphrase', passphrase: await readSecretLine(sources.passphraseFd) };
  }
  const { shareFiles = [] } = sources;
  if (shareFiles.length > 0) return { kind: 'shares', shares: await Promise.all(shareFiles.map(readShareFile)) };
  const credential = has('passphrase') ? await readCredential() : undefined;
  if (credential !== undefined) return { kind: 'passphrase', passphrase: credential };
  if (has('program') && sources.unlockProgram.length > 0) {
    return { kind: 'program', secret: await secretFromProgram(sources.unlockProgram) };
  }
  const typed = has('passphrase') ? await askPassphrase() : await askShares(unlockers);
  if (typed !== undefined) return typed;
  const kinds = unlockers.map(({ id }) => id).join(', ');
  throw new HubError(
    'keys-locked',
    `the keys are sealed (${kinds}) and nothing was given to open them: --passphrase-fd N, --share FILE, the credential ${credentialName}, or a terminal`,
  );
}

/** Whether there is a secret without asking a person, so that `gatherOffer` does not prompt. */
export async function needsNobody(
  { unlockers }: Pick<SealedFile, 'unlockers'>,
  { passphraseFd, shareFiles = [], unlockProgram }: UnlockSources,
): Promise<boolean> {
  const has = (kind: Unlocker['kind']) => unlockers.some((unlocker) => unlocker.kind === kind);
  if (passphraseFd !== undefined || shareFiles.length > 0) return true;
  if (has('program') && unlockProgram.length > 0) return true;
  return has('passphrase') && (await readCredential()) !== undefined;
}

/**
 * What one person gives to a waiting hub: a passphrase, share files, or typed input. Asks for a single share when no unlocker is a
 * passphrase.
 */
export async function gatherFromPerson(
  { unlockers }: Pick<SealedFile, 'unlockers'>,
  { passphraseFd, shareFiles = [] }: UnlockSources,
): Promise<readonly UnlockRequest[]> {
  if (passphraseFd !== undefined) return [{ passphrase: await readSecretLine(passphraseFd) }];
  if (shareFiles.length > 0) {
    const shares = await Promise.all(shareFiles.map(readShareFile));
    return shares.map((share) => ({ share: encodeShare(share) }));
  }
  const byPassphrase = unlockers.some(({ kind }) => kind === 'passphrase');
  const typed = await askOnTerminal(byPassphrase ? 'Passphrase of the hub: ' : 'Your share: ');
  if (typed !== undefined) return [byPassphrase ? { passphrase: typed } : { share: typed }];
  throw new HubError('keys-locked', 'nothing was given: --passphrase-fd N, --share FILE, or a terminal');
}

/** The passphrase from systemd, if there is one. */
export async function readCredential(): Promise<string | undefined> {
  const folder = process.env['CREDENTIALS_DIRECTORY'];
  if (folder === undefined) return undefined;
  try {
    const text = await readFile(join(folder, credentialName), 'utf8');
    return text.endsWith('\n') ? text.slice(0, -1) : text;
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw cause;
  }
}

async function readShareFile(path: string): Promise<Share> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  if (size > SHARE_FILE_BYTES_MAX) throw new HubError('unlock-refused', `${path} is too long for a share`);
  return parseShareFile(await file.readFile('utf8'));
}

async function askPassphrase(): Promise<Offer | undefined> {
  const passphrase = await askOnTerminal('Passphrase of the hub: ');
  return passphrase === undefined ? undefined : { kind: 'passphrase', passphrase };
}

/** One share after the other, until those of one split are enough. */
async function askShares(unlockers: readonly Unlocker[]): Promise<Offer | undefined> {
  const needed = unlockers.flatMap((each) => (each.kind === 'shares' ? [each.needed] : []))[0];
  if (needed === undefined) return undefined;
  const shares: Share[] = [];
  while (shares.length < needed) {
    const text = await askOnTerminal(`Share ${shares.length + 1} of the ${needed} that are needed: `);
    if (text === undefined) return undefined;
    shares.push(parseShare(text));
  }
  return { kind: 'shares', shares };
}
