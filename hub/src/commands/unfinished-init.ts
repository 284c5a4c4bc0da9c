// `hub init` leaves a whole hub or nothing. What it is going to make was absent before, and is noted first; a run that fails removes it, and
// after one that was killed the next run does. In folders elsewhere (the root's, the shares') a note with the same id says whose files are there.
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { readFile, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { parseJson } from '@edgekeep/core/json';
import { syncFolder, writeNewFile } from '@edgekeep/host/durable-file';
import { makeFolder } from '@edgekeep/host/make-folder';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { z } from 'zod';
import { HubError } from '../common/error.ts';

const noteName = 'hub-init-unfinished.json';

/** What `hub init` makes in the data folder, besides empty folders, and the settings, which say that the hub is whole. */
const ownNames = ['keys', 'hub.sqlite', 'hub.sqlite-wal', 'hub.sqlite-shm', 'operator.json'] as const;
/** Somebody may have put certificates there before. */
const emptyNames = ['vendor-roots', 'dice-roots', 'idevid-roots'] as const;
/** What it makes elsewhere. */
const rootNames = /^(?:root-key\.pem|root\.pem|key-list-.*\.json)$/;
const shareNames = /^share-\d+-of-\d+\.txt$/;

const placeSchema = z.strictObject({
  folder: z.string(),
  root: z.boolean(),
  shares: z.boolean(),
  /** The name of the request for an offline root. */
  request: z.string().nullable(),
});
type Place = z.infer<typeof placeSchema>;

const noteSchema = z.strictObject({
  type: z.literal('edgekeep-hub-init/v1'),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  elsewhere: z.array(placeSchema),
  /** Folders that were missing, those above before those below. */
  folders: z.array(z.string()),
});
type Note = z.infer<typeof noteSchema>;

/** Where a new hub writes, besides its data folder. */
export interface InitPlaces {
  readonly rootFolder?: string | undefined;
  readonly shareFolder?: string | undefined;
  readonly requestFile?: string | undefined;
  /** Of a store that is not in the folder: removes what the run with this id made there. */
  readonly discardStore?: (id: string) => Promise<void>;
}

/** A run of `hub init` under way in a folder that it has locked. */
export interface UnfinishedInit {
  /** Of this run. */
  readonly id: string;
  /** Everything is written: what was noted stays. */
  finish(): Promise<void>;
  /** Removes what was made, as far as the disk lets it. */
  undo(): Promise<void>;
}

/** Whether a run of `hub init` did not finish in this folder. */
export function isHalfMade(folder: string): boolean {
  return existsSync(join(folder, noteName)) && !existsSync(join(folder, 'hub.json'));
}

/**
 * Removes what a killed run left in `folder`, and notes what this one makes. Throws `conflict` where something has one of the names: nothing is
 * overwritten.
 */
export async function beginInit(folder: string, places: InitPlaces): Promise<UnfinishedInit> {
  const { discardStore = async () => undefined } = places;
  const former = await readNote(folder);
  if (former !== undefined) {
    // Before its note goes, which has the id.
    await discardStore(former.id);
    await remove(folder, former);
  }
  const elsewhere = placesOf(places);
  assertAbsent([...ownNames.map((name) => join(folder, name)), ...elsewhere.flatMap(takenIn)]);
  const id = randomBytes(16).toString('hex');
  const folders = [...new Set(elsewhere.flatMap((place) => missingFolders(place.folder)))].toSorted();
  const note: Note = { type: 'edgekeep-hub-init/v1', id, elsewhere: [...elsewhere], folders };
  await writeNewFile(join(folder, noteName), `${JSON.stringify(note)}\n`);
  try {
    for (const place of elsewhere) {
      await makeFolder(place.folder, { mode: 0o700 });
      await writeNewFile(join(place.folder, noteName), `${JSON.stringify({ id })}\n`);
    }
  } catch (error) {
    await removeOrLeave(folder, note);
    throw error;
  }
  return {
    id,
    finish: async () => {
      for (const each of [...elsewhere.map((place) => place.folder), folder]) {
        await rm(join(each, noteName), { force: true });
        await syncFolder(each);
      }
    },
    undo: async () => {
      try {
        await discardStore(id);
      } catch {
        // The server went away: the note stays, and the next run removes the rest.
        return;
      }
      await removeOrLeave(folder, note);
    },
  };
}

/** One for each folder, with what goes into it. */
function placesOf({ rootFolder, shareFolder, requestFile }: InitPlaces): readonly Place[] {
  const request = requestFile === undefined ? undefined : resolve(requestFile);
  const [root, shares, carried] = [rootFolder, shareFolder, request && dirname(request)].map(
    (path) => path && resolve(path),
  );
  const folders = new Set([root, shares, carried].filter((path) => path !== undefined));
  return [...folders].map((folder) => ({
    folder,
    root: folder === root,
    shares: folder === shares,
    request: request !== undefined && folder === carried ? basename(request) : null,
  }));
}

/** What may not be there yet: files with the names of ours, and the note of another run. */
function takenIn(place: Place): readonly string[] {
  if (!existsSync(place.folder)) return [];
  const found = readdirSync(place.folder).filter((name) => isOurs(place, name) || name === noteName);
  return found.map((name) => join(place.folder, name));
}

function isOurs({ root, shares, request }: Place, name: string): boolean {
  return name === request || (root && rootNames.test(name)) || (shares && shareNames.test(name));
}

function assertAbsent(paths: readonly string[]): void {
  const found = paths.find((path) => existsSync(path));
  if (found === undefined) return;
  const why = basename(found) === noteName ? 'another `hub init` did not finish there' : 'it is not replaced';
  throw new HubError('conflict', `${found} exists, and ${why}: give another place, or move it away first`);
}

function missingFolders(folder: string): readonly string[] {
  const missing: string[] = [];
  for (let at = resolve(folder); !existsSync(at) && at !== dirname(at); at = dirname(at)) missing.unshift(at);
  return missing;
}

async function readNote(folder: string): Promise<Note | undefined> {
  const path = join(folder, noteName);
  const bytes = await orIfMissing(readFile(path), undefined);
  // The power failed while it was written: nothing else was made yet.
  if (bytes?.length === 0) return { type: 'edgekeep-hub-init/v1', id: '0'.repeat(32), elsewhere: [], folders: [] };
  return bytes === undefined ? undefined : parseJson(bytes, noteSchema, path);
}

async function removeOrLeave(folder: string, note: Note): Promise<void> {
  try {
    await remove(folder, note);
  } catch {
    // A disk that became read-only, or was taken away: the note is there, and the next run removes the rest.
  }
}

/** The note goes last: until then the next run can remove the rest. */
async function remove(folder: string, note: Note): Promise<void> {
  for (const place of note.elsewhere) await removeElsewhere(place, note.id);
  for (const name of ownNames) await rm(join(folder, name), { recursive: true, force: true });
  const emptied = emptyNames.map((name) => join(folder, name));
  for (const each of [...emptied, ...note.folders.toReversed()]) await removeIfEmpty(each);
  await rm(join(folder, noteName), { force: true });
}

/** Only where the note of the same run is: another disk may be there now. */
async function removeElsewhere(place: Place, id: string): Promise<void> {
  const path = join(place.folder, noteName);
  const note = await orIfMissing(readFile(path, 'utf8'), undefined);
  if (note === undefined || !note.includes(id)) return;
  for (const name of readdirSync(place.folder)) {
    if (isOurs(place, name)) await rm(join(place.folder, name), { force: true });
  }
  await rm(path, { force: true });
}

async function removeIfEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch {
    // Something else is in it, or it is gone: both are as they should be.
  }
}
