// Device tokens with a million used ones in the store: a new token, one that was used before, and the clearing of expired ones.
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { encodeDeviceToken } from '@edgekeep/core/identity/device-token';
import { addTokenDevice, useDeviceToken } from '@edgekeep/hub/enrollment/token-device';
import { HubError } from '@edgekeep/hub/common/error';
import { PlatformKey } from '@edgekeep/hub/secrets/platform-key';
import { hubSettingsSchema } from '@edgekeep/hub/settings';
import { Database } from '@edgekeep/hub/store/database';
import { type Benchmark, type Harness, percentile } from './harness.ts';

const windowSeconds = 300;
const startSeconds = 1_800_000_000;
const rowsAtOnce = 400;
/** How much longer a token may take with many used ones than with none. */
const SLOWDOWN_MAX = 1.5;
const REMEMBERED_MS_MAX = 5;

export const bench: Benchmark = {
  name: 'device-tokens',
  title: 'Device tokens: 1,000,000 used ones remembered',
  budget:
    'with 1,000,000 used tokens in the store a token is accepted at two thirds of the speed of an empty store or more, one that was used before is refused within 5 ms (p99), and what is over is cleared faster than it comes',
  async run(harness) {
    const remembered = harness.quick ? 100_000 : 1_000_000;
    const platformKey = new PlatformKey(new Map([[1, randomBytes(32)]]));
    await using empty = await openStore(harness, platformKey, 'empty');
    await using full = await openStore(harness, platformKey, 'full');
    const before = performance.now();
    await remember(full.database, remembered);
    harness.figure('used tokens written', (remembered * 1_000) / (performance.now() - before), 'rows/s');
    await compareStores(harness, remembered, [empty, full]);
    await measureReplays(harness, full);
    await measureClearing(harness, full, remembered);
  },
};

interface Store {
  readonly database: Database;
  /** Uses a new token. */
  readonly use: (nowSeconds: number) => Promise<string>;
  readonly tryAgain: (token: string, nowSeconds: number) => Promise<unknown>;
  [Symbol.asyncDispose](): Promise<void>;
}

async function openStore(harness: Harness, platformKey: PlatformKey, name: string): Promise<Store> {
  const database = await Database.open(join(harness.scratch, `${name}.sqlite`));
  const secrets: { readonly deviceId: string; readonly secret: string }[] = [];
  for (let at = 0; at < 64; at += 1) {
    const deviceId = `meter-${at}`;
    const order = { deviceId, actor: 'bench', nowMs: startSeconds * 1_000 };
    secrets.push({ deviceId, secret: await addTokenDevice(database, platformKey, order) });
  }
  const send = (token: string, nowSeconds: number) =>
    useDeviceToken(database, platformKey, {
      token,
      windowSeconds,
      nowMs: nowSeconds * 1_000,
      address: '127.0.0.1',
      sessionRule: hubSettingsSchema.parse({}).identity,
    });
  let made = 0;
  return {
    database,
    async use(nowSeconds) {
      const device = secrets[made % secrets.length];
      // One second after the other for each device, all of them inside the window.
      const atSeconds = nowSeconds - windowSeconds + (Math.floor(made / secrets.length) % (2 * windowSeconds));
      made += 1;
      if (device === undefined) throw new TypeError('a store without devices');
      const token = encodeDeviceToken(device.deviceId, atSeconds, device.secret);
      await send(token, nowSeconds);
      return token;
    },
    tryAgain: (token, nowSeconds) => send(token, nowSeconds),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

/** Rows as used tokens leave them, none of them expired yet. */
async function remember(database: Database, count: number): Promise<void> {
  for (let from = 0; from < count; from += 50_000) {
    await database.write(async (trx) => {
      for (let at = from; at < Math.min(from + 50_000, count); at += rowsAtOnce) {
        const rows = Array.from({ length: Math.min(rowsAtOnce, count - at) }, (_, row) => ({
          sha256: createHash('sha256')
            .update(`used ${at + row}`)
            .digest('hex'),
          expires_at: (startSeconds + 1 + ((at + row) % windowSeconds)) * 1_000,
        }));
        await trx.insertInto('used_token').values(rows).execute();
      }
    });
  }
}

async function compareStores(harness: Harness, remembered: number, [empty, full]: readonly Store[]): Promise<void> {
  if (empty === undefined || full === undefined) throw new TypeError('two stores are compared');
  const count = harness.quick ? 200 : 1_000;
  const accept = async (store: Store) => {
    for (let at = 0; at < count; at += 1) await store.use(startSeconds);
  };
  const { peers } = await harness.compare({
    title: `accept ${count} tokens, one durable transaction after another`,
    rounds: harness.quick ? 3 : 7,
    work: { amount: count, unit: 'token' },
    peers: [
      { name: 'with no used token to remember', run: () => accept(empty) },
      { name: `with ${remembered}`, run: () => accept(full) },
    ],
  });
  const ratio = peers[1]?.ratio?.median ?? 0;
  harness.verdict(
    ratio >= 1 / SLOWDOWN_MAX,
    `with ${remembered} used tokens to remember a token is accepted at ${ratio.toFixed(2)} times the speed of an empty store (at least ${(1 / SLOWDOWN_MAX).toFixed(2)})`,
  );
}

async function measureReplays(harness: Harness, full: Store): Promise<void> {
  const count = harness.quick ? 300 : 2_000;
  const used = await Promise.all(Array.from({ length: count }, () => full.use(startSeconds)));
  const times: number[] = [];
  let accepted = 0;
  for (const token of used) {
    const before = performance.now();
    await full.tryAgain(token, startSeconds).then(
      () => (accepted += 1),
      (error: unknown) => {
        if (!(error instanceof HubError) || error.code !== 'token-refused') throw error;
      },
    );
    times.push(performance.now() - before);
  }
  const p99 = percentile(times, 0.99);
  harness.figure('a token that was used before is refused, p99', p99, 'ms');
  harness.verdict(
    accepted === 0 && p99 < REMEMBERED_MS_MAX,
    `${accepted} of ${count} used tokens were accepted again (none), refused within ${p99.toFixed(2)} ms at p99 (below ${REMEMBERED_MS_MAX})`,
  );
}

/** When all have expired: each new token clears a hundred old ones. How long does it take? */
async function measureClearing(harness: Harness, full: Store, remembered: number): Promise<void> {
  const laterSeconds = startSeconds + 10 * windowSeconds;
  const count = Math.min(1_000, Math.ceil(remembered / 200));
  const rows = async () => {
    const { count: left } = await full.database.read
      .selectFrom('used_token')
      .select((q) => q.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    return left;
  };
  const before = await rows();
  const times: number[] = [];
  for (let at = 0; at < count; at += 1) {
    const began = performance.now();
    await full.use(laterSeconds);
    times.push(performance.now() - began);
  }
  const cleared = before + count - (await rows());
  harness.figure('old tokens cleared by each new one', cleared / count, '');
  harness.figure('p99 of a token that clears', percentile(times, 0.99), 'ms');
  harness.verdict(
    cleared > 10 * count,
    `${count} new tokens cleared ${cleared} that were over: the table shrinks while it is used`,
  );
}
