import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cosign } from '@edgekeep/core/audit/cosignature';
import { followCheckpoint } from '@edgekeep/core/audit/follower';
import { encodeNote, type NoteSigner, parseNote, verifierKey } from '@edgekeep/core/audit/note';
import { verifyTlogProof } from '@edgekeep/core/audit/proof';
import { witnessPolicy } from '@edgekeep/core/audit/quorum';
import { signerFromKey } from '@edgekeep/core/signer';
import { AuditLog } from './log.ts';
import { ed25519Key, hashAt, type MemoryStore, opened, world } from './testing-log.ts';
import { CosignatureCollector } from './witness.ts';
import { ofTpm, testPolicies } from './testing-witness.ts';

let scratch = '';
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'edgekeep-witness-'));
});
after(() => rm(scratch, { recursive: true, force: true }));

test('a fleet that follows the log gathers a quorum on one checkpoint, though the log grows meanwhile', async () => {
  await using scene = await setScene('quorum', 2);
  const { log, collector, store } = scene;
  const [first, second, third] = [device(2), device(3), device(4)];
  collector.register('press-7', first.key, ofTpm);
  collector.register('press-8', second.key, ofTpm);
  collector.register('press-9', third.key, ofTpm);

  const open = await first.follow(collector, log, 1000);
  store.grow(20);
  await log.integrated(19);
  const kept = { kind: 'kept', size: 10 } as const;
  assert.partialDeepStrictEqual(collector.accept('press-7', open, 1000), { ...kept, cosignatures: 1, quorum: false });
  assert.equal(collector.witnessed(), undefined);
  const verdict = collector.accept('press-8', await second.follow(collector, log, 1001), 1001);
  assert.partialDeepStrictEqual(verdict, { ...kept, cosignatures: 2, quorum: true });

  const witnessed = collector.witnessed() ?? assert.fail();
  assert.deepEqual(collector.bestCheckpointFor(9), witnessed);
  assert.deepEqual(collector.bestCheckpointFor(10), log.checkpoint());
  const policy = witnessPolicy([first.key, second.key], 2);
  assert.equal(verifyTlogProof(await log.proofFor(4, witnessed), hashAt(4), log.key, policy).kind, 'verified');
  // The receipts of the first two still need a third: it is no witness of its own.
  assert.equal(opened(await first.follow(collector, log, 1002), log).size, 10);
  collector.accept('press-9', await third.follow(collector, log, 1003), 1003);
  assert.equal(opened(await first.follow(collector, log, 1004), log).size, 20, 'the next round is about the latest');
});

// SECURITY.md: HUB-96
test('the receiver of a key, a device of another tier, and a second device of one token make no quorum', async () => {
  await using scene = await setScene('counting', 2);
  const { log, collector } = scene;
  const standings = [
    ['receiver', ofTpm],
    ['software', { tier: 'software', origin: '' }],
    ['first-of-token', { tier: 'tpm', origin: 'token 12' }],
    ['second-of-token', { tier: 'tpm', origin: 'token 12' }],
    ['other', ofTpm],
  ] as const;
  const signatures = (receiver?: string) => parseNote(collector.bestCheckpointFor(4, receiver)).signatures.length - 1;
  for (const [at, [id, standing]] of standings.entries()) {
    const witness = device(at + 2);
    collector.register(id, witness.key, standing);
    const verdict = collector.accept(id, await witness.follow(collector, log, 1000), 1000);
    const counted = !['receiver', 'software'].includes(id);
    assert.deepEqual([id, verdict.kind === 'kept' && verdict.quorum], [id, counted]);
    // Without the receiver, only the last one brings a second origin.
    if (id === 'second-of-token') assert.equal(signatures('receiver'), 3);
  }
  assert.equal(signatures('receiver'), 4);
  assert.equal(signatures(), 5);
});

// SECURITY.md: HUB-78
test('cosigners that a receipt has no room for are not counted for a publisher’s quorum', async () => {
  await using scene = await setScene('room', 1);
  const { collector } = scene;
  for (let seed = 2; seed < 22; seed += 1) {
    const witness = device(seed);
    collector.register(`press-${seed}`, witness.key, ofTpm);
    collector.accept(`press-${seed}`, await witness.cosigned(await offered(collector, 0, 1000), 1000), 1000);
  }
  const carried = parseNote(collector.bestCheckpointFor(4, 'press-2')).signatures.length - 1;
  assert.equal(carried, 16);
  assert.equal(collector.cosignersBesides('press-2'), carried);
});

// SECURITY.md: HUB-96
test('what the hub weighs at a check-in does not grow with the devices of one token that cosigned', async () => {
  const weighed = async (devices: number) => {
    await using scene = await setScene(`weighed-${devices}`, 2);
    const { log, store } = scene;
    const policies = testPolicies(2);
    let times = 0;
    const counting: Pick<typeof policies, 'current' | 'isMet' | 'independent'> = {
      current: () => policies.current(),
      isMet(...asked) {
        times += 1;
        return policies.isMet(...asked);
      },
      independent(cosigned) {
        times += 1;
        return policies.independent(cosigned);
      },
    };
    const collector = new CosignatureCollector({ log, policies: counting, maxRoundSeconds: 60 });
    const fleet = Array.from({ length: devices + 1 }, (_, at) => ({ id: `press-${at}`, ...device(at + 2) }));
    // The last one alone has another origin: its own receipt lacks the quorum.
    for (const [at, { id, key }] of fleet.entries())
      collector.register(id, key, { tier: 'tpm', origin: at === devices ? '' : 'token 12' });
    const open = await offered(collector, 0, 1000);
    for (const { id, cosigned } of fleet) collector.accept(id, await cosigned(open, 1000), 1000);
    store.grow(20);
    await log.integrated(19);
    times = 0;
    assert.equal(
      opened(await offered(collector, 0, 1001), log).size,
      10,
      'the round stays open for the receipt of the last',
    );
    return times;
  };
  assert.equal(await weighed(12), await weighed(4));
});

// SECURITY.md: HUB-78
test('a round stays open for the largest quorum of a publisher, and each receipt gets the round that has its own', async () => {
  await using scene = await setScene('publisher', 1, 3);
  const { log, collector, store } = scene;
  const fleet = [2, 3, 4, 5].map((seed) => ({ id: `press-${seed}`, ...device(seed) }));
  for (const { id, key } of fleet) collector.register(id, key, ofTpm);
  const [first, second, third, fourth] = fleet;
  assert.ok(first && second && third && fourth);
  const vouch = async (each: typeof first) =>
    collector.accept(each.id, await each.follow(collector, log, 1000), 1000).kind;
  const witnesses = (index: number, receiver: string, publisher?: number) =>
    parseNote(collector.bestCheckpointFor(index, receiver, publisher)).signatures.length - 1;
  // The hub's own quorum is met by the first two; the publisher's is not, and the log grows.
  await vouch(first);
  await vouch(second);
  store.grow(20);
  await log.integrated(19);
  assert.equal(opened(await offered(collector, 10, 1001), log).size, 10);
  assert.equal(collector.cosignersBesides('press-9'), 2);
  const slow = await fourth.follow(collector, log, 1002);
  await vouch(third);
  assert.deepEqual([witnesses(4, 'press-9', 3), collector.cosignersBesides('press-9')], [3, 3]);
  // Receipts of a witness itself need a fourth. Its line comes when the round has ended.
  assert.equal(collector.cosignersBesides('press-2'), 2);
  assert.equal(opened(await offered(collector, 10, 1061), log).size, 20);
  assert.equal(collector.accept('press-5', slow, 1062).kind, 'kept');
  assert.equal(collector.cosignersBesides('press-2'), 3);
  // A newer round with the hub's quorum alone does not take the publisher's away.
  assert.equal(await vouch(second), 'kept');
  assert.deepEqual([witnesses(4, 'press-9', 3), witnesses(15, 'press-9', 3), witnesses(4, 'press-9')], [4, 1, 1]);
  assert.equal(collector.cosignersBesides('press-9'), 4);
});

test('where the hub asks for no witness, a publisher’s quorum is gathered all the same', async () => {
  await using scene = await setScene('publisher-alone', 0, 2);
  const { log, collector } = scene;
  for (const seed of [2, 3]) {
    const each = device(seed);
    collector.register(`press-${seed}`, each.key, ofTpm);
    collector.accept(`press-${seed}`, await each.follow(collector, log, 1000), 1000);
  }
  assert.equal(collector.cosignersBesides('press-9'), 2);
  assert.equal(collector.witnessed(), undefined);
});

test('a round without a quorum ends after its time', async () => {
  await using scene = await setScene('timeout', 3);
  const { log, collector, store } = scene;
  const witness = device(2);
  collector.register('press-7', witness.key, ofTpm);
  await witness.follow(collector, log, 1000);
  store.grow(30);
  await log.integrated(29);
  assert.equal(opened(await offered(collector, 10, 1059), log).size, 10);
  assert.equal(opened(await offered(collector, 10, 1060), log).size, 30);
});

test('a cosignature of another key, of another checkpoint, from the future, or false is not kept', async () => {
  await using scene = await setScene('refusals', 1);
  const { log, collector, store } = scene;
  const [witness, stranger] = [device(2), device(9)];
  collector.register('press-7', witness.key, ofTpm);
  const refuses = (status: number, deviceId: string, note: Uint8Array) => {
    const verdict = collector.accept(deviceId, note, 1000);
    assert.equal(verdict.kind === 'refused' ? verdict.status : 'kept', status);
  };
  const good = await witness.follow(collector, log, 1000);
  refuses(403, 'press-9', good);
  refuses(403, 'press-7', await stranger.cosigned(await offered(collector, 0, 1000), 1000));
  refuses(422, 'press-7', await witness.cosigned(await offered(collector, 0, 1000), 1301));
  const note = parseNote(good);
  const [log1, line] = note.signatures;
  const broken = { ...(line ?? assert.fail()), signature: Buffer.alloc(72) };
  refuses(422, 'press-7', encodeNote({ ...note, signatures: [log1 ?? assert.fail(), broken] }));
  store.grow(11);
  await log.integrated(10);
  refuses(409, 'press-7', await witness.cosigned(log.checkpoint(), 1000));
  assert.equal(collector.accept('press-7', good, 1000).kind, 'kept');
  collector.remove('press-7');
  refuses(403, 'press-7', good);
});

test('a device that saw more than this log has is refused with both sizes, and is never sent back', async () => {
  await using scene = await setScene('set-back', 1);
  const { log, collector } = scene;
  await collector.offer(0, 1000);
  const verdict = await collector.offer(11, 1000);
  assert.equal(verdict.kind, 'refused');
  scene.store.grow(12);
  await log.integrated(11);
  assert.equal(opened(await offered(collector, 11, 1000), log).size, 12, 'the open checkpoint has 10 entries only');
});

test('the published checkpoint carries the cosignatures', async () => {
  await using scene = await setScene('published', 1);
  const { log, collector } = scene;
  const witness = device(2);
  collector.register('press-7', witness.key, ofTpm);
  collector.accept('press-7', await witness.follow(collector, log, 1000), 1000);
  await collector.publish();
  assert.equal(parseNote(collector.checkpoint()).signatures.length, 2);
});

async function setScene(name: string, quorum: number, publisher = 0): Promise<AsyncDisposable & Scene> {
  const { store, dependencies } = world(join(scratch, name));
  store.grow(10);
  const log = await AuditLog.open(dependencies);
  const publishers = { largest: async () => publisher };
  const policies = testPolicies(quorum);
  const collector = new CosignatureCollector({ log, policies, publishers, maxRoundSeconds: 60 });
  return { log, collector, store, [Symbol.asyncDispose]: () => log[Symbol.asyncDispose]() };
}

interface Scene {
  readonly log: AuditLog;
  readonly collector: CosignatureCollector;
  readonly store: MemoryStore;
}

async function offered(collector: CosignatureCollector, oldSize: number, nowSeconds: number): Promise<Uint8Array> {
  const offer = await collector.offer(oldSize, nowSeconds);
  return offer.kind === 'offer' ? offer.checkpoint : assert.fail(offer.reasons.join('; '));
}

/** A device as a witness: it follows the log as core defines it, remembers what it saw, and cosigns. */
function device(seed: number) {
  const signer: NoteSigner = { name: `log.example/device-${seed}`, signer: signerFromKey(ed25519Key(seed)) };
  let lastSeen: Uint8Array | undefined;
  const cosigned = async (checkpoint: Uint8Array, seconds: number): Promise<Uint8Array> => {
    const note = parseNote(checkpoint);
    return encodeNote({ ...note, signatures: [...note.signatures, ...(await cosign(note.text, seconds, signer))] });
  };
  return {
    key: verifierKey(signer.name, signer.signer.publicKey, 'cosignature-v1'),
    cosigned,
    async follow(collector: CosignatureCollector, log: AuditLog, seconds: number): Promise<Uint8Array> {
      const oldSize = lastSeen === undefined ? 0 : opened(lastSeen, log).size;
      const offer = await collector.offer(oldSize, seconds);
      if (offer.kind !== 'offer') return assert.fail(offer.reasons.join('; '));
      const request = { oldSize, proof: offer.consistency, checkpoint: offer.checkpoint };
      const verdict = followCheckpoint(lastSeen, request, log.key);
      assert.equal(verdict.kind, 'consistent');
      lastSeen = offer.checkpoint;
      return cosigned(offer.checkpoint, seconds);
    },
  };
}
