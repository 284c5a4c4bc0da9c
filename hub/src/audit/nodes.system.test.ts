// Two nodes on one PostgreSQL database, each with its own tiles: one log, one chain of entries about the state, one witness board.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { cosign, cosignatureBy } from '@edgekeep/core/audit/cosignature';
import { encodeNote, encodeVerifierKey, type NoteSigner, parseNote, verifierKey } from '@edgekeep/core/audit/note';
import { signerFromKey } from '@edgekeep/core/signer';
import { Database } from '../store/database.ts';
import { tableList } from '../store/security-tables.ts';
import { serverPrograms } from '../store/testing-cluster.ts';
import { databaseOf, dropDatabase } from '../store/testing-place.ts';
import { appendEntry } from './append.ts';
import { endOfLog, handOver } from './hand-over.ts';
import { AuditLog } from './log.ts';
import { parseStateEntry } from './state-entry.ts';
import { SharedCosignatures } from './shared-cosignatures.ts';
import { StateRecorder } from './state-recorder.ts';
import { checkpointsIn, entriesIn } from './store-source.ts';
import { ed25519Key, logSigner } from './testing-log.ts';
import { testPolicies } from './testing-witness.ts';
import { CosignatureCollector } from './witness.ts';

const isRootInCi = process.env['CI'] === 'true' && process.getuid?.() === 0;
const missing = serverPrograms() === undefined && !isRootInCi ? 'PostgreSQL is not installed' : false;
const onServer = { skip: missing };

let scratch = '';
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'edgekeep-nodes-'));
});
after(() => rm(scratch, { recursive: true, force: true }));

interface Node {
  readonly database: Database;
  readonly log: AuditLog;
  readonly folder: string;
}

class Nodes {
  readonly a: Node;
  readonly b: Node;
  readonly #opened: AsyncDisposableStack;

  private constructor(a: Node, b: Node, opened: AsyncDisposableStack) {
    this.a = a;
    this.b = b;
    this.#opened = opened;
  }

  static async open(name: string): Promise<Nodes> {
    await using opened = new AsyncDisposableStack();
    const place = await databaseOf(`${name} ${process.pid}`);
    opened.defer(() => dropDatabase(place));
    const node = async (folder: string): Promise<Node> => {
      const database = opened.use(await Database.open(place));
      const dependencies = { source: entriesIn(database), checkpoints: checkpointsIn(database), folder };
      return { database, folder, log: opened.use(await AuditLog.open({ ...dependencies, signer: logSigner })) };
    };
    const [a, b] = [await node(join(scratch, name, 'a')), await node(join(scratch, name, 'b'))];
    return new Nodes(a, b, opened.move());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.disposeAsync();
  }
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const entry = (subject: string) => ({ at: 1, kind: 'test', actor: 'hub', subject, data: {} });
const append = ({ database }: Node, subject: string) => database.writeAsHub((trx) => appendEntry(trx, entry(subject)));

async function filesIn(folder: string): Promise<ReadonlyMap<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name));
  return new Map(
    await Promise.all(
      files
        .toSorted()
        .map(async (file) => [file.slice(folder.length), (await readFile(file)).toString('hex')] as const),
    ),
  );
}

test('two nodes build the same tiles and sign the same checkpoints', onServer, async () => {
  await using nodes = await Nodes.open('tiles');
  const { a, b } = nodes;
  for (const size of [40, 300, 620]) {
    const from = a.log.size;
    const last = await Promise.all(
      Array.from({ length: size - from }, (_, at) => append(at % 3 === 0 ? a : b, `${from + at}`)),
    );
    const index = Math.max(...last);
    await Promise.all([a.log.integrated(index), b.log.integrated(index)]);
    await Promise.all([a.log.reach(size), b.log.reach(size)]);
    assert.equal(hex(a.log.checkpoint()), hex(b.log.checkpoint()));
    assert.equal(parseCheckpoint(parseNote(b.log.checkpoint()).text).size, size);
  }
  // Partial tiles of earlier sizes go after a checkpoint is signed.
  for (const { log } of [a, b]) await log[Symbol.asyncDispose]();
  const [ofA, ofB] = [await filesIn(a.folder), await filesIn(b.folder)];
  assert.ok(ofA.size > 5);
  // A node that signed at a size between has partial tiles of that size; what both have is the same.
  for (const [path, bytes] of ofA) if (ofB.has(path)) assert.equal(ofB.get(path), bytes, path);
  assert.equal(ofA.get('/checkpoint'), ofB.get('/checkpoint'));
});

test(
  'a node takes the note that another signed for this size, also where its own signature has other bytes',
  onServer,
  async () => {
    await using nodes = await Nodes.open('first-note');
    const { a, b } = nodes;
    await a.log.integrated(await append(a, 'one'));
    const [saved, size] = [a.log.checkpoint(), a.log.size];
    const store = checkpointsIn(b.database);
    const { text } = parseNote(saved);
    const again = encodeNote({ text, signatures: [...parseNote(saved).signatures, ...parseNote(saved).signatures] });
    assert.notDeepEqual(again, saved);
    assert.equal(hex(await store.save(again, () => true)), hex(saved));
    assert.equal(parseCheckpoint(text).size, size);
    // One that does not count, such as one without a second key, is replaced.
    assert.equal(hex(await store.save(again, () => false)), hex(again));
    assert.equal(hex((await store.latest()) ?? saved), hex(again));
  },
);

// SECURITY.md: HUB-132
test('a node does not sign a tree of a size that another tree was signed for', onServer, async () => {
  await using nodes = await Nodes.open('fork');
  const { a, b } = nodes;
  const index = await append(a, 'one');
  await a.log.integrated(index);
  // Somebody gives the other node another history.
  const source = entriesIn(b.database);
  const forked = {
    size: () => source.size(),
    read: async (from: number, to: number) => (await source.read(from, to)).toReversed(),
  };
  await append(a, 'two');
  await a.log.reach(2);
  const saved = checkpointsIn(b.database);
  const opening = AuditLog.open({
    source: forked,
    checkpoints: { latest: async () => undefined, save: (note, isSame) => saved.save(note, isSame) },
    folder: join(scratch, 'forked'),
    signer: logSigner,
  });
  await assert.rejects(opening, { code: 'log-rewritten' });
});

test('the entries of two nodes about the state of the store are one chain', onServer, async () => {
  await using nodes = await Nodes.open('chain');
  const { a, b } = nodes;
  const key = Buffer.alloc(32, 7);
  for (const { database } of [a, b]) {
    const recorder = new StateRecorder(
      key,
      () => 1,
      { last: -1, whole: -1 },
      () => undefined,
    );
    await database.watch(tableList.replayed, recorder);
    recorder.want('interval');
    await database.writeAsHub(async () => undefined);
  }
  const name = (at: number) => ({ name: `host-${at}`, added_at: at });
  await Promise.all(
    Array.from({ length: 60 }, (_, at) =>
      (at % 2 === 0 ? a : b).database.writeAsHub((trx) => trx.insertInto('hub_name').values(name(at)).execute()),
    ),
  );
  const rows = await a.database.read.selectFrom('audit_entry').selectAll().orderBy('log_index').execute();
  let last = -1;
  let changes = 0;
  for (const { log_index: index, entry: bytes } of rows) {
    const parsed = parseStateEntry(bytes);
    if (parsed === undefined) continue;
    assert.equal(parsed.previous, last);
    last = index;
    if (parsed.kind === 'changed') changes += 1;
  }
  assert.ok(changes >= 2, `${changes} entries about changes`);
  const state = await b.database.read.selectFrom('security_state').selectAll().executeTakeFirstOrThrow();
  assert.equal(state.last_index, last);
});

// SECURITY.md: HUB-133
test('a node signs nothing behind the end of a log that another node has handed over', onServer, async () => {
  await using nodes = await Nodes.open('hand-over');
  const { a } = nodes;
  const next = { name: logSigner.name, signer: signerFromKey(ed25519Key(9)) };
  const database = nodes.b.database;
  const dependencies = { source: entriesIn(database), checkpoints: checkpointsIn(database) };
  await using b = await AuditLog.open({
    ...dependencies,
    folder: join(scratch, 'hand-over', 'c'),
    signer: logSigner,
    ended: (key) => endOfLog(database.read, key, async () => next.signer),
  });
  for (const subject of ['one', 'two']) await a.log.integrated(await append(a, subject));
  await b.reach(2);
  const former = b.key;
  await a.database.writeAsHub((trx) => handOver(trx, a.log, { next, actor: 'hub', nowMs: 1 }));
  await append(a, 'behind');
  const size = await entriesIn(database).size();
  await b.reach(size);
  await a.log.reach(size);
  assert.equal(b.size, size);
  assert.notEqual(b.key.id, former.id);
  assert.equal(hex(b.checkpoint()), hex(a.log.checkpoint()));
  const notes = await database.read.selectFrom('audit_checkpoint').selectAll().orderBy('size').execute();
  const ended = await database.read.selectFrom('audit_log').selectAll().orderBy('number').execute();
  const closed = ended[0]?.closed_size ?? 0;
  for (const { size: at, note } of notes)
    assert.equal(
      parseNote(note).signatures.some(({ keyId }) => keyId === former.id),
      at <= closed,
      `the checkpoint of ${at} entries`,
    );
});

/** A device that may be a witness, and what it does. */
async function witnessDevice(node: Node, id: string, seed: number) {
  const signer: NoteSigner = { name: `log.example/device/${id}`, signer: signerFromKey(ed25519Key(seed)) };
  const key = verifierKey(signer.name, signer.signer.publicKey, 'cosignature-v1');
  const row = {
    id,
    tier: 'tpm',
    state: 'active',
    state_reason: 'a test',
    identity: '{}',
    root_sha256: id,
    witness_key: encodeVerifierKey(key),
    enrolled_at: 1,
    seen_at: 1,
    reset_count: -1,
    appraisal: null,
    appraised_at: null,
    counts: null,
  } as const;
  await node.database.writeAsHub((trx) => trx.insertInto('device').values(row).execute());
  const cosigned = async (checkpoint: Uint8Array, seconds: number) => {
    const note = parseNote(checkpoint);
    const lines = await cosign(note.text, seconds, signer);
    return encodeNote({ text: note.text, signatures: [...note.signatures, ...lines] });
  };
  return { id, key, cosigned };
}

const standing = { tier: 'tpm', origin: '' };

function collectorAt({ database, log }: Node) {
  const witnesses = new CosignatureCollector({ log, policies: testPolicies(2), maxRoundSeconds: 600 });
  const shared = new SharedCosignatures({ database, log, witnesses, asked: [], clock: () => 2_000_000 });
  return { witnesses, exchange: () => shared.exchange() };
}

type Collector = ReturnType<typeof collectorAt>;
type WitnessDevice = Awaited<ReturnType<typeof witnessDevice>>;

async function checkIn({ witnesses }: Collector, { id, key, cosigned }: WitnessDevice): Promise<void> {
  witnesses.register(id, key, standing);
  const offer = await witnesses.offer(0, 2_000);
  if (offer.kind === 'refused') return assert.fail(offer.reasons.join());
  assert.equal(witnesses.accept(id, await cosigned(offer.checkpoint, 2_000), 2_000).kind, 'kept');
}

test('cosignatures that came to different nodes make one quorum at both, on one checkpoint', onServer, async () => {
  await using nodes = await Nodes.open('cosignatures');
  const { a, b } = nodes;
  const [first, second] = [await witnessDevice(a, 'press-1', 21), await witnessDevice(b, 'press-2', 22)];
  await a.log.integrated(await append(a, 'one'));
  const [ofA, ofB] = [collectorAt(a), collectorAt(b)];
  await checkIn(ofA, first);
  await ofA.exchange();
  // The other node has more of the log by now, and follows the open checkpoint all the same.
  await b.log.integrated(await append(b, 'two'));
  await ofB.exchange();
  assert.deepEqual([ofA.witnesses.witnessed(), ofB.witnesses.witnessed()], [undefined, undefined]);
  await checkIn(ofB, second);
  await ofB.exchange();
  await ofA.exchange();
  const [witnessed, other] = [ofA.witnesses.witnessed(), ofB.witnesses.witnessed()];
  if (witnessed === undefined || other === undefined) return assert.fail('no quorum');
  assert.equal(parseNote(witnessed).text, parseNote(other).text);
  for (const note of [witnessed, other])
    for (const { key } of [first, second]) assert.ok(cosignatureBy(parseNote(note), key), `no line of ${key.name}`);
});

// SECURITY.md: HUB-137
test(
  'a cosignature in the store counts by its signature, and for a device that is a witness now',
  onServer,
  async () => {
    await using nodes = await Nodes.open('planted');
    const { a, b } = nodes;
    const [first, cutOff, other] = [
      await witnessDevice(a, 'press-1', 21),
      await witnessDevice(a, 'press-2', 22),
      await witnessDevice(a, 'press-3', 23),
    ];
    await a.log.integrated(await append(a, 'one'));
    await b.log.reach(1);
    const [ofA, ofB] = [collectorAt(a), collectorAt(b)];
    await checkIn(ofA, first);
    await checkIn(ofA, cutOff);
    await ofA.exchange();
    const cosigned = await first.cosigned(a.log.checkpoint(), 2_000);
    await a.database.writeAsHub(async (trx) => {
      await trx.updateTable('device').set({ state: 'quarantined' }).where('id', '=', cutOff.id).execute();
      // Somebody writes the line of one device in the name of another.
      const planted = { number: 100, size: 1, device_id: other.id, public_name: null, cosigned };
      await trx.insertInto('witness_cosignature').values(planted).execute();
    });
    await ofB.exchange();
    const open = parseNote(ofB.witnesses.checkpoint());
    assert.deepEqual(
      [first, cutOff, other].map(({ key }) => cosignatureBy(open, key) !== undefined),
      [true, false, false],
    );
    assert.equal(ofB.witnesses.witnessed(), undefined);
  },
);

// SECURITY.md: HUB-134
test('a node that lags integrates before it answers a device that saw more', onServer, async () => {
  await using nodes = await Nodes.open('lags');
  const { a, b } = nodes;
  for (const subject of ['one', 'two', 'three']) await a.log.integrated(await append(a, subject));
  const { witnesses } = collectorAt(b);
  assert.equal(b.log.size, 0);
  const offer = await witnesses.offer(3, 2_000);
  if (offer.kind === 'refused') return assert.fail(offer.reasons.join());
  assert.equal(hex(offer.checkpoint), hex(a.log.checkpoint()));
  assert.deepEqual(await witnesses.offer(4, 2_000), {
    kind: 'refused',
    status: 409,
    reasons: ['the device saw 4 entries, this log has 3'],
  });
});
