import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { parseHex, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { IMA_LOG_BYTES_MAX, parseImaLog, replayImaLog } from './ima-log.ts';
import { vectorsOf } from './testing-vectors.ts';

const bank = z.record(z.string(), z.string());
const valid = z.object({
  comment: z.string(),
  log: z.string(),
  files: z.array(z.string()),
  pcrs: z.object({ sha1: bank, sha256: bank }),
});
const invalid = z.object({ comment: z.string(), log: z.string(), code: z.string() });

describe('IMA log vectors', () => {
  for (const vector of vectorsOf('ima-log', 'valid', valid)) {
    test(`valid/${vector.file} names its files and replays to its PCR values: ${vector.comment}`, () => {
      const entries = parseImaLog(parseHex(vector.log, 'log'));
      assert.deepEqual(
        entries.map(({ fileName }) => fileName),
        vector.files,
      );
      for (const name of ['sha1', 'sha256'] as const) {
        const values = [...replayImaLog(entries, name)].map(([pcr, value]) => [String(pcr), toHex(value)]);
        assert.deepEqual(Object.fromEntries(values), vector.pcrs[name]);
      }
    });
  }
  for (const vector of vectorsOf('ima-log', 'invalid', invalid)) {
    test(`invalid/${vector.file} is refused: ${vector.comment}`, () => {
      assert.throws(
        () => parseImaLog(parseHex(vector.log, 'log')),
        (error) => error instanceof CoreError && error.code === vector.code,
      );
    });
  }
});

test('a log longer than 64 MiB is refused before it is read', () => {
  assert.throws(() => parseImaLog(new Uint8Array(IMA_LOG_BYTES_MAX + 1)), { code: 'bytes-too-long' });
});
