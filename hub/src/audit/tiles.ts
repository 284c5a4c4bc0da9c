// The log's folder as c2sp.org/tlog-tiles lays it out: tiles, entry bundles and the checkpoint, as files that any static server can serve.
// A file appears whole or not at all (temporary file, fsync, rename), so a crash leaves a folder that lacks only its end.
import { dirname, join } from 'node:path';
import { equalBytes } from '@edgekeep/core/bytes';
import { encodeEntryBundle, encodeTile, type TileAddress, tilePath, tileWidth } from '@edgekeep/core/audit/tile';
import type { Tile } from '@edgekeep/core/audit/tree-edge';
import { HubError } from '../common/error.ts';
import { diskFiles, type LogFiles, makeDurableFolder } from './files.ts';

/** The number of files written at once: enough to keep the disk busy, and few enough to leave threads for other work. */
const writesAtOnce = 8;

/** A file that must be in the folder. */
interface WantedFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export class TileFolder {
  readonly #root: string;
  readonly #files: LogFiles;
  /** Folders that are known to exist, so that each is made once. */
  readonly #folders = new Set<string>();
  #temporary = 0;

  private constructor(root: string, files: LogFiles) {
    this.#root = root;
    this.#files = files;
  }

  /** Opens or makes the folder and removes the temporary files of a crash. */
  static async open(root: string, files: LogFiles = diskFiles): Promise<TileFolder> {
    const folder = new TileFolder(root, files);
    await files.removeFolder(folder.#temporaryFolder);
    await makeDurableFolder(files, folder.#temporaryFolder);
    return folder;
  }

  /**
   * Makes tiles durable, and the entry bundles beside those of level 0. `entries[0]` is entry number `firstEntry` of the log, and the list
   * reaches to the end of the last tile. May be repeated; a file that already holds other bytes is `log-rewritten`.
   */
  async writeTiles(tiles: readonly Tile[], entries: readonly Uint8Array[], firstEntry: number): Promise<void> {
    await this.#ensure(
      tiles.flatMap((tile) => {
        const file = { path: tilePath(tile), bytes: encodeTile(tile.hashes) };
        if (tile.level !== 0) return [file];
        const start = tile.index * tileWidth - firstEntry;
        const bundle = encodeEntryBundle(entries.slice(start, start + tile.width));
        return [file, { path: tilePath({ ...tile, level: 'entries' }), bytes: bundle }];
      }),
    );
  }

  /** tlog-tiles, "Partial Tiles": once the full tile exists and is published, its partial ones may be removed. */
  async removePartials(full: readonly Tile[]): Promise<void> {
    const addresses: readonly TileAddress[] = full.flatMap((tile) =>
      tile.level === 0 ? [tile, { ...tile, level: 'entries' }] : [tile],
    );
    for (const address of addresses) await this.#files.removeFolder(this.#path(`${tilePath(address)}.p`));
  }

  /** The bytes of a tile or bundle. If it is missing, throws `store-failed`, because callers ask only for tiles that were written. */
  async readTile(address: TileAddress): Promise<Uint8Array> {
    const path = tilePath(address);
    const bytes = await this.#files.read(this.#path(path));
    if (bytes === undefined || isBlank(bytes))
      throw new HubError(
        'store-failed',
        `${path} is missing from the log's folder, or emptied: put it back from a backup`,
      );
    return bytes;
  }

  /** Undefined also for a file that a loss of power emptied. */
  async readCheckpoint(): Promise<Uint8Array | undefined> {
    const bytes = await this.#files.read(this.#path('checkpoint'));
    return bytes === undefined || isBlank(bytes) ? undefined : bytes;
  }

  /** Replaces the published checkpoint. Call it only after its tree was written and the checkpoint saved. */
  async publishCheckpoint(note: Uint8Array): Promise<void> {
    await this.#replace('checkpoint', note);
    await this.#files.syncFolder(this.#root);
  }

  async #ensure(wanted: readonly WantedFile[]): Promise<void> {
    const touched = new Set<string>();
    const remaining = wanted.values();
    const worker = async () => {
      for (const { path, bytes } of remaining) {
        const there = await this.#files.read(this.#path(path));
        // What was never published contradicts nothing.
        if (there === undefined || isBlank(there)) await this.#replace(path, bytes);
        else if (!equalBytes(there, bytes)) {
          throw new HubError('log-rewritten', `${path} is already published with other content`);
        }
        // Also when the file exists already: a crash may have come between its rename and the sync of its folder.
        touched.add(dirname(this.#path(path)));
      }
    };
    // All of them end before an error is thrown: a retry never meets writes of the attempt before.
    const ends = await Promise.allSettled(Array.from({ length: writesAtOnce }, worker));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    for (const folder of touched) await this.#files.syncFolder(folder);
  }

  async #replace(path: string, bytes: Uint8Array): Promise<void> {
    const target = this.#path(path);
    const folder = dirname(target);
    if (!this.#folders.has(folder)) {
      await makeDurableFolder(this.#files, folder);
      this.#folders.add(folder);
    }
    const temporary = join(this.#temporaryFolder, String(this.#temporary++));
    await this.#files.write(temporary, bytes);
    await this.#files.rename(temporary, target);
  }

  get #temporaryFolder(): string {
    return join(this.#root, '.tmp');
  }

  #path(path: string): string {
    return join(this.#root, path);
  }
}

// As a loss of power leaves a file: empty, or as many zeros as it had bytes. No tile, bundle or checkpoint is like that.
function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
