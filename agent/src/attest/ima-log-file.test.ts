import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { IMA_PIECE_BYTES_MAX } from '@edgekeep/core/attest/ima-log';
import { encodeEventLogHeader } from '@edgekeep/core/attest/event-log';
import { fixedKey, testAttester, testQuote } from '@edgekeep/core/attest/testing';
import { imaEntry, imaNgLog } from '@edgekeep/core/attest/testing-ima';
import { concat, parseBase64url, utf8 } from '@edgekeep/core/bytes';
import { z } from 'zod';
import { Prover } from './attest.ts';
import type { Send } from '../hub-api.ts';
import { ImaLogFile, type ImaPiece } from './ima-log-file.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-ima-'));
});
after(() => rm(folder, { recursive: true }));

async function all(file: ImaLogFile, from: number): Promise<readonly ImaPiece[]> {
  return Array.fromAsync(file.pieces(from));
}

test('pieces of a log follow one another, hold whole entries, and make the log again from any place', async () => {
  const path = join(folder, 'long');
  const log = concat(imaNgLog(12_000), imaEntry('ima-buf', [utf8('sha1:\0x'), utf8('b\0'), new Uint8Array(500_000)]));
  await writeFile(path, log);
  const file = new ImaLogFile(path);
  for (const from of [0, 7, 11_999, 12_001, 3]) {
    const pieces = await all(file, from);
    let next = from;
    for (const piece of pieces) {
      assert.equal(piece.from, next);
      assert.ok(piece.bytes.length <= IMA_PIECE_BYTES_MAX);
      next += piece.entries;
    }
    assert.equal(next, 12_001);
    const rest = concat(...pieces.map(({ bytes }) => bytes));
    assert.deepEqual(rest, log.subarray(log.length - rest.length));
    if (from === 0) assert.equal(rest.length, log.length);
  }
});

test('an entry that the kernel is still writing waits for the next time', async () => {
  const path = join(folder, 'growing');
  await writeFile(path, imaNgLog(3).subarray(0, -5));
  const file = new ImaLogFile(path);
  assert.deepEqual(
    (await all(file, 0)).map(({ entries }) => entries),
    [2],
  );
  await appendFile(path, imaNgLog(3).subarray(-5));
  assert.deepEqual(
    (await all(file, 2)).map(({ from, entries }) => [from, entries]),
    [[2, 1]],
  );
});

/** A prover on `path`, whose quote is of boot 7. */
function proverOn(path: string): Prover {
  const { quote, signature } = testQuote(testAttester(fixedKey(1)), {
    qualifyingData: new Uint8Array(32),
    pcrs: [10],
    pcrValue: () => new Uint8Array(32),
  });
  const rootOfTrust = { attest: async () => ({ kind: 'tpm', quote, signature }) as const };
  return new Prover({ rootOfTrust, eventLog: () => encodeEventLogHeader(), imaLogFile: path });
}

async function evidenceOn(
  path: string,
  send: Send,
  known?: { entries: number; resetCount: number; restartCount: number },
) {
  const evidence = await proverOn(path).evidence('release', new Uint8Array(32), new Uint8Array(32), [10], {
    send,
    known,
  });
  assert.ok(evidence.kind === 'tpm');
  return evidence;
}

const pieceSchema = z.object({ from: z.number(), log: z.string() });

test('a log that fits is sent whole, in evidence alone, to any hub', async () => {
  const path = join(folder, 'short');
  await writeFile(path, imaNgLog(9));
  const silent: Send = async () => assert.fail('nothing is sent ahead');
  const { imaLog, imaLogFrom } = await evidenceOn(path, silent);
  assert.deepEqual([Buffer.from(imaLog ?? []), imaLogFrom], [Buffer.from(imaNgLog(9)), undefined]);
});

test('a hub of before, which takes no pieces, is sent the whole log while that fits, and none when it does not', async () => {
  const path = join(folder, 'old-hub');
  const old: Send = async () => ({
    status: 404,
    headers: {},
    body: utf8(JSON.stringify({ error: { code: 'not-found', message: 'no such route', reasons: [] } })),
  });
  await writeFile(path, imaNgLog(8_000));
  const fits = await evidenceOn(path, old);
  assert.deepEqual([fits.imaLog?.length, fits.imaLogFrom], [imaNgLog(8_000).length, undefined]);
  await writeFile(path, imaNgLog(40_000));
  assert.equal((await evidenceOn(path, old)).imaLog, undefined);
});

test('a hub that knows the log of this boot is sent what follows, one that knows another boot is sent all', async () => {
  const path = join(folder, 'known');
  await writeFile(path, imaNgLog(8_000));
  const taken: ImaPiece[] = [];
  const hub: Send = async ({ body = '' }) => {
    const { from, log } = pieceSchema.parse(JSON.parse(String(body)));
    taken.push({ from, entries: 0, bytes: parseBase64url(log, 'log') });
    return { status: 200, headers: {}, body: utf8(JSON.stringify({ entries: from })) };
  };
  const next = await evidenceOn(path, hub, { entries: 7_990, resetCount: 7, restartCount: 0 });
  assert.deepEqual([next.imaLogFrom, taken.length], [7_990, 0]);
  assert.deepEqual(Buffer.from(next.imaLog ?? []), Buffer.from(imaNgLog(10, 7_990)));
  const rebooted = await evidenceOn(path, hub, { entries: 7_990, resetCount: 6, restartCount: 0 });
  assert.equal(taken[0]?.from, 0);
  const sent = concat(...taken.map(({ bytes }) => bytes), rebooted.imaLog ?? new Uint8Array(0));
  assert.deepEqual(Buffer.from(sent), Buffer.from(imaNgLog(8_000)));
});
