// A hub that cannot open its keys yet and waits (spec/platform-secrets.md, "Unlocking a hub that waits"). It has no listener except a
// socket for its own user, which takes a passphrase or shares, from one person or from several one after the other.
import { rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { equalBytes, parseBase64url, toHex, utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { parseJson } from '@edgekeep/core/json';
import { z } from 'zod';
import { socketPathProblem } from '@edgekeep/host/socket-path';
import { HubError } from '../../common/error.ts';
import type { KeyStore } from '../../secrets/key-store.ts';
import { restrictNewFiles } from '../../secrets/process.ts';
import type { Unlocker } from '../../secrets/sealed-file.ts';
import { parseShare, type Share } from '../../secrets/share.ts';
import type { Offer } from '../../secrets/unlock.ts';
import {
  type UnlockResponse,
  unlockResponse,
  type UnlockRequest,
  unlockRequest,
} from '../../secrets/unlock-message.ts';

const unlockSocketName = 'unlock.sock';

/** A person types; a passphrase of 1,024 characters in JSON's longest encoding fits. */
const LINE_BYTES_MAX = 8_192;
const lineMilliseconds = 10_000;
const CONNECTIONS_MAX = 8;

export interface WaitingOrder {
  readonly dataFolder: string;
  readonly unlockers: readonly Unlocker[];
  /** Opens the keys or throws `unlock-refused`. */
  readonly open: (offer: Offer) => Promise<KeyStore>;
  /** Called when the socket exists. */
  readonly onWaiting: (socketPath: string) => void;
}

/** Resolves when the keys were opened; the socket is gone by then. Throws `conflict` when another hub waits in this folder. */
export async function waitForUnlock(order: WaitingOrder): Promise<KeyStore> {
  const path = join(order.dataFolder, unlockSocketName);
  const problem = socketPathProblem(path);
  if (problem !== undefined)
    throw new HubError(
      'settings-invalid',
      `${problem}: move the data folder to a shorter path, or unlock without --wait`,
    );
  if (await isAnswered(path)) throw new HubError('conflict', `another hub waits at ${path}`);
  // Removes the socket of a killed hub.
  await rm(path, { force: true });
  const opened = Promise.withResolvers<KeyStore>();
  const gathering = new Gathering(order);
  let turn: Promise<unknown> = Promise.resolve();
  // One attempt at a time: each may take 128 MiB.
  const attempt = (request: UnlockRequest) => {
    const mine = turn.then(() => gathering.take(request, opened.resolve));
    // A failed attempt concerns only its client: the next one is still tried.
    turn = mine.catch(() => undefined);
    return mine;
  };
  // A peer that breaks off, or a failed attempt: only the socket must be closed.
  const server = createServer((socket) => void converse(socket, attempt).catch(() => socket.destroy()));
  server.maxConnections = CONNECTIONS_MAX;
  restrictNewFiles();
  await listen(server, path);
  try {
    order.onWaiting(path);
    return await opened.promise;
  } finally {
    await new Promise((resolve) => server.close(resolve));
    await rm(path, { force: true });
  }
}

/** What people have given. Shares that did not open the keys are forgotten: nobody knows which of them was wrong. */
class Gathering {
  readonly #order: WaitingOrder;
  readonly #shares = new Map<string, Map<number, Share>>();
  #isOpen = false;

  constructor(order: WaitingOrder) {
    this.#order = order;
  }

  async take(request: UnlockRequest, onOpened: (keys: KeyStore) => void): Promise<UnlockResponse> {
    if (this.#isOpen) return { state: 'unlocked' };
    try {
      const offer = 'passphrase' in request ? passphraseOffer(request) : this.#withShare(parseShare(request.share));
      if (offer.kind === 'incomplete') return { state: 'waiting', given: offer.given, needed: offer.needed };
      const keys = await this.#order.open(offer);
      this.#isOpen = true;
      this.#shares.clear();
      onOpened(keys);
      return { state: 'unlocked' };
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      return { state: 'refused', message: error.message };
    }
  }

  #withShare(share: Share): Offer | { readonly kind: 'incomplete'; readonly given: number; readonly needed: number } {
    const split = this.#order.unlockers.find(
      (unlocker) => unlocker.kind === 'shares' && equalBytes(parseBase64url(unlocker.set, 'set'), share.set),
    );
    if (split?.kind !== 'shares') throw new HubError('unlock-refused', 'this share belongs to no split of these keys');
    const id = toHex(share.set);
    const given = this.#shares.get(id) ?? new Map<number, Share>();
    this.#shares.set(id, given.set(share.at, share));
    const { needed } = split;
    if (given.size < needed) return { kind: 'incomplete', given: given.size, needed };
    this.#shares.delete(id);
    return { kind: 'shares', shares: [...given.values()] };
  }
}

function passphraseOffer({ passphrase }: { readonly passphrase: string }): Offer {
  return { kind: 'passphrase', passphrase };
}

async function converse(socket: Socket, attempt: (request: UnlockRequest) => Promise<UnlockResponse>): Promise<void> {
  const text = await readLine(socket);
  const parsed = unlockRequest.safeParse(parseJsonOrNothing(text));
  const answer: UnlockResponse = parsed.success
    ? await attempt(parsed.data)
    : { state: 'refused', message: 'expected one line of JSON: {"passphrase":…} or {"share":…}' };
  socket.end(`${JSON.stringify(answer)}\n`);
}

function parseJsonOrNothing(text: string): unknown {
  try {
    return parseJson(utf8(text), z.unknown(), 'the request');
  } catch (error) {
    // Bytes that are not JSON are refused like JSON of another form.
    if (!(error instanceof CoreError)) throw error;
    return undefined;
  }
}

/** The first line of a peer, which has ten seconds for it; of a longer input, only what fits. */
async function readLine(socket: Socket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let received = Buffer.alloc(0);
  socket.setTimeout(lineMilliseconds, () => reject(new Error('no data came')));
  socket.once('error', reject).once('close', () => reject(new Error('the peer left')));
  socket.on('data', (chunk: Buffer) => {
    const whole = Buffer.concat([received, chunk]);
    received.fill(0);
    received = whole;
    const end = whole.indexOf(0x0a);
    if (end !== -1) resolve(whole.toString('utf8', 0, end));
    else if (whole.length > LINE_BYTES_MAX) reject(new Error('too long for a line'));
  });
  try {
    return await promise;
  } finally {
    received.fill(0);
    socket.setTimeout(0);
  }
}

async function listen(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject).listen(path, resolve);
  await promise;
}

async function isAnswered(path: string): Promise<boolean> {
  const socket = connect(path);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}

/** Gives one secret to the hub that waits in this folder. Throws `keys-locked` when none does. */
export async function giveToHub(dataFolder: string, request: UnlockRequest): Promise<UnlockResponse> {
  const path = join(dataFolder, unlockSocketName);
  const socket = connect(path);
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    let text = '';
    for await (const chunk of socket.setEncoding('utf8')) text += String(chunk);
    return unlockResponse.parse(JSON.parse(text));
  } catch (cause) {
    throw new HubError('keys-locked', `no hub waits at ${path}: start it with \`edgekeep hub run --wait\``, { cause });
  } finally {
    socket.destroy();
  }
}
