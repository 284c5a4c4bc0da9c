import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testEd25519, testLogSigner } from '@edgekeep/core/access/testing-receipt';
import { openCheckpoint, signCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { type AuditEvent, encodeAuditEntry } from '@edgekeep/core/audit/entry';
import { logBegun, logEnded } from '@edgekeep/core/audit/hand-over';
import { leafHash } from '@edgekeep/core/audit/merkle';
import { encodeVerifierKey, type NoteSigner, verifierKeyOf } from '@edgekeep/core/audit/note';
import { testLogFiles } from '@edgekeep/core/audit/testing-log';
import { appendLeaves, edgeRoot, emptyEdge } from '@edgekeep/core/audit/tree-edge';
import { signerFromKey } from '@edgekeep/core/signer';
import { HandOverReader } from './hand-overs.ts';
import { verifyLog } from './verify-log.ts';

const by = { actor: 'person:ada/1', at: 1_800_000_000_000 };
const second: NoteSigner = { name: 'hub.example/audit/2', signer: signerFromKey(testEd25519(8)) };
const third: NoteSigner = { name: 'hub.example/audit/3', signer: signerFromKey(testEd25519(9)) };
const [firstKey, secondKey, thirdKey] = [testLogSigner, second, third].map((each) => verifierKeyOf(each, 'ed25519'));
assert.ok(firstKey !== undefined && secondKey !== undefined && thirdKey !== undefined);
const keys = { first: firstKey, second: secondKey, third: thirdKey };

function entry(event: AuditEvent): Uint8Array {
  return encodeAuditEntry({ type: 'edgekeep-audit-entry/v1', ...event });
}

function filler(count: number): readonly Uint8Array[] {
  return Array.from({ length: count }, (_, at) =>
    entry({ ...by, kind: 'device-tagged', subject: `device:d${at}`, data: {} }),
  );
}

/** These entries and a hand-over of their log; `change` lets the former log or the next lie. */
async function handedOver(
  entries: readonly Uint8Array[],
  [former, next]: readonly [NoteSigner, NoteSigner],
  change: { readonly names?: NoteSigner; readonly signer?: NoteSigner; readonly hides?: number } = {},
): Promise<Uint8Array[]> {
  const [formerKey, nextKey] = [former, change.names ?? next].map((each) => verifierKeyOf(each, 'ed25519'));
  assert.ok(formerKey !== undefined && nextKey !== undefined);
  const ended = [...entries, entry(logEnded(formerKey, nextKey, by))];
  const shown = ended.slice(0, ended.length - (change.hides ?? 0));
  const head = { size: shown.length, root: edgeRoot(appendLeaves(emptyEdge, shown.map(leafHash)).edge) };
  const note = await signCheckpoint(head, { ...former, signer: (change.signer ?? former).signer });
  const begun = logBegun(verifierKeyOf(next, 'ed25519'), formerKey, note, by);
  return [...ended, entry(begun)];
}

async function verdictOf(entries: readonly Uint8Array[], signer: NoteSigner, known?: readonly (keyof typeof keys)[]) {
  const files = await testLogFiles(entries, signer);
  const key = verifierKeyOf(signer, 'ed25519');
  const opened = openCheckpoint(files.get('checkpoint') ?? assert.fail(), key);
  assert.ok(opened.kind === 'verified');
  const handOvers = new HandOverReader();
  const source = { atOnce: 2, read: async (path: string) => files.get(path) };
  const options = { hashesOnly: false, progress: () => undefined, handOvers };
  assert.equal((await verifyLog(source, opened.checkpoint, options)).kind, 'verified');
  return handOvers.finish(
    opened.checkpoint.size,
    key,
    known?.map((name) => keys[name]),
  );
}

test('each key is named with the entries that it signed, over two hand-overs and more than a tile', async () => {
  const once = await handedOver(filler(300), [testLogSigner, second]);
  const twice = await handedOver([...once, ...filler(9)], [second, third]);
  const verdict = await verdictOf([...twice, ...filler(2)], third, ['first', 'second', 'third']);
  const [a, b, c] = [keys.first, keys.second, keys.third].map(encodeVerifierKey);
  assert.deepEqual(verdict, {
    kind: 'verified',
    ranges: [
      { key: a, from: 0, to: 300, successor: b },
      { key: b, from: 301, to: 311, successor: c },
      { key: c, from: 312, to: 314, successor: undefined },
    ],
  });
});

test('a log that ended says what follows it, and one that never did has one key', async () => {
  const once = await handedOver(filler(3), [testLogSigner, second]);
  const ended = await verdictOf(once.slice(0, -1), testLogSigner);
  assert.ok(ended.kind === 'verified');
  assert.equal(ended.ranges[0]?.successor, encodeVerifierKey(keys.second));
  const one = await verdictOf(filler(3), testLogSigner);
  assert.ok(one.kind === 'verified' && one.ranges.length === 1);
  const foreign = [Buffer.from('{"kind":"log-ended"}'), Buffer.from('{"kind":"log-begun"}'), Buffer.alloc(9)];
  assert.equal((await verdictOf(foreign, testLogSigner)).kind, 'verified');
});

// SECURITY.md: HUB-92
test('a hand-over that one of the two logs does not confirm is refused, with the reason', async () => {
  const pair = [testLogSigner, second] as const;
  const good = await handedOver(filler(3), pair);
  const cases: readonly (readonly [string, readonly Uint8Array[], NoteSigner, RegExp])[] = [
    ['another successor', await handedOver(filler(3), pair, { names: third }), second, /handed over to .*audit\/3/],
    ['a false last checkpoint', await handedOver(filler(3), pair, { signer: third }), second, /hand-over at entry 4/],
    ['a last checkpoint of less', await handedOver(filler(3), pair, { hides: 1 }), second, /is of 3 entries, not 4/],
    ['no beginning', [...good.slice(0, 4), ...filler(2)], second, /entry 4 does not begin the next one/],
    ['no end', [...filler(2), ...good.slice(4)], second, /entry 2 begins a log/],
    ['the former key goes on', [...good, ...filler(1)], testLogSigner, /signed by hub.example\/audit\+/],
  ];
  for (const [name, entries, signer, reason] of cases) {
    const verdict = await verdictOf(entries, signer);
    assert.ok(verdict.kind === 'refused', name);
    assert.match(verdict.reasons.join('\n'), reason, name);
  }
  const unknown = await verdictOf(good, second, ['second']);
  assert.ok(unknown.kind === 'refused');
  assert.match(unknown.reasons.join(), /entries 0 to 3 were signed by .* which is not a trusted log/);
});
