import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { alwaysLog, type TrustedLog } from '@edgekeep/core/access/trust';
import { parseCheckpoint, signCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { cosignatureBy } from '@edgekeep/core/audit/cosignature';
import { parseForkProof, verifyForkProof } from '@edgekeep/core/audit/fork-proof';
import { leafHash, makeConsistencyProof, nodeHash } from '@edgekeep/core/audit/merkle';
import { parseNote, verifierKey } from '@edgekeep/core/audit/note';
import { appendLeaves, edgeRoot, emptyEdge } from '@edgekeep/core/audit/tree-edge';
import { parseUtf8, toBase64, utf8 } from '@edgekeep/core/bytes';
import { signerFromKey } from '@edgekeep/core/signer';
import type { HubRequest, HubResponse } from '@edgekeep/wire/link/exchange';
import { Witness } from './witness.ts';

const newSigner = (name: string) => ({ name, signer: signerFromKey(generateKeyPairSync('ed25519').privateKey) });
const log = newSigner('hub.example/log');
const witness = newSigner('hub.example/log/press-7');
const logKey = verifierKey(log.name, log.signer.publicKey, 'ed25519');
const witnessKey = verifierKey(witness.name, witness.signer.publicKey, 'cosignature-v1');

/** A hub with a log of these entries; `change` lets it lie. */
class Hub {
  readonly #entries: readonly string[];
  readonly #change: (offer: { checkpoint: string; consistency: string[] }) => object;
  readonly cosigned: string[] = [];
  onCosignature: () => Promise<void> = async () => undefined;

  constructor(
    entries: readonly string[],
    change: (offer: { checkpoint: string; consistency: string[] }) => object = (offer) => offer,
  ) {
    this.#entries = entries;
    this.#change = change;
  }

  readonly send = async ({ path, body }: HubRequest): Promise<HubResponse> => {
    if (path === '/v1/cosignatures') {
      await this.onCosignature();
      const { checkpoint }: { checkpoint: string } = JSON.parse(String(body));
      this.cosigned.push(checkpoint);
      return answer({ accepted: true });
    }
    const from = Number(path.slice('/v1/checkpoint?from='.length));
    const leaves = this.#entries.map((entry) => leafHash(utf8(entry)));
    const nodes = (level: number, index: number): Uint8Array =>
      level === 0
        ? (leaves[index] ?? new Uint8Array(32))
        : nodeHash(nodes(level - 1, 2 * index), nodes(level - 1, 2 * index + 1));
    const { edge } = appendLeaves(emptyEdge, leaves);
    const checkpoint = parseUtf8(
      await signCheckpoint({ size: leaves.length, root: edgeRoot(edge) }, log),
      'checkpoint',
    );
    const consistency =
      from === 0 || from >= leaves.length ? [] : makeConsistencyProof(from, leaves.length, nodes).map(toBase64);
    return answer(this.#change({ checkpoint, consistency }));
  };
}

function answer(value: object): HubResponse {
  return { status: 200, headers: {}, body: utf8(JSON.stringify(value)) };
}

async function withFolder(
  use: (open: () => Promise<Witness>, folder: string) => Promise<void>,
  logs: () => readonly TrustedLog[] = () => [alwaysLog(logKey)],
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-witness-'));
  const parts = {
    logs,
    endFile: join(folder, 'log-end.json'),
    signer: witness,
    checkpointFile: join(folder, 'checkpoint'),
    forkProofFile: join(folder, 'fork-proof.json'),
  };
  try {
    await use(() => Witness.open(parts), folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const five = ['a', 'b', 'c', 'd', 'e'];

test('a checkpoint is on disk before its cosignature goes out', async () => {
  await withFolder(async (open, folder) => {
    const hub = new Hub(five);
    let onDisk = '';
    hub.onCosignature = async () => void (onDisk = await readFile(join(folder, 'checkpoint'), 'utf8'));
    assert.deepEqual(await (await open()).checkIn(hub.send, 1_800_000_000), { kind: 'cosigned', size: 5, taken: true });
    const [cosigned = ''] = hub.cosigned;
    assert.equal(parseCheckpoint(parseNote(utf8(onDisk)).text).size, 5);
    const cosignature = cosignatureBy(parseNote(utf8(cosigned)), witnessKey);
    assert.deepEqual(cosignature, { witness: witness.name, keyId: witnessKey.id, seconds: 1_800_000_000 });
  });
});

test('a device whose boot the hub refuses has seen the log go on, and its cosignature is not taken', async () => {
  await withFolder(async (open, folder) => {
    const hub = new Hub(five);
    const refusing = async (request: HubRequest): Promise<HubResponse> => {
      if (request.path !== '/v1/cosignatures') return hub.send(request);
      const reasons = [{ code: 'boot-refused', message: 'its boot is refused' }];
      const error = { code: 'cosignature-refused', message: 'its boot is refused', reasons };
      return { ...answer({ error }), status: 422 };
    };
    assert.deepEqual(await (await open()).checkIn(refusing, 1), { kind: 'cosigned', size: 5, taken: false });
    assert.equal(parseCheckpoint(parseNote(await readFile(join(folder, 'checkpoint'))).text).size, 5);
  });
});

test('a log that grew is cosigned, also after a restart', async () => {
  await withFolder(async (open) => {
    await (await open()).checkIn(new Hub(five).send, 1);
    const verdict = await (await open()).checkIn(new Hub([...five, 'f', 'g']).send, 2);
    assert.deepEqual(verdict, { kind: 'cosigned', size: 7, taken: true });
  });
});

test('a log with another past is a fork: proven, kept, and never cosigned again', async () => {
  await withFolder(async (open, folder) => {
    const first = await open();
    await first.checkIn(new Hub(five).send, 1);
    const rewritten = new Hub(['a', 'B', 'c', 'd', 'e', 'f']);
    assert.equal((await first.checkIn(rewritten.send, 2)).kind, 'forked');
    const proof = parseForkProof(await readFile(join(folder, 'fork-proof.json')));
    assert.equal(verifyForkProof(proof, logKey).kind, 'proven');
    // The honest log comes back: too late.
    const honest = new Hub([...five, 'f']);
    assert.equal((await first.checkIn(honest.send, 3)).kind, 'forked');
    const again = await open();
    assert.equal(again.forked, true);
    assert.equal((await again.checkIn(honest.send, 4)).kind, 'forked');
    assert.deepEqual([...rewritten.cosigned, ...honest.cosigned], []);
  });
});

test('a fork whose proof cannot be written is a fork all the same, and the cause is given', async () => {
  await withFolder(async (open, folder) => {
    const opened = await open();
    await opened.checkIn(new Hub(five).send, 1);
    // No file can take the place of a folder.
    await mkdir(join(folder, 'fork-proof.json', 'in-the-way'), { recursive: true });
    const verdict = await opened.checkIn(new Hub(['a', 'b', 'c', 'd', 'E']).send, 2);
    assert.ok(verdict.kind === 'forked' && verdict.unkept instanceof Error, JSON.stringify(verdict));
    assert.equal(opened.forked, true);
    assert.equal((await opened.checkIn(new Hub([...five, 'f']).send, 3)).kind, 'forked');
  });
});

test('the same size with another root is a fork', async () => {
  await withFolder(async (open) => {
    const opened = await open();
    await opened.checkIn(new Hub(five).send, 1);
    assert.equal((await opened.checkIn(new Hub(['a', 'b', 'c', 'd', 'E']).send, 2)).kind, 'forked');
  });
});

test('what is not shown to continue the log is neither cosigned nor remembered', async () => {
  const lies: readonly (readonly [string, Hub])[] = [
    ['a shorter log', new Hub(['a', 'b'])],
    ['no proof', new Hub([...five, 'f'], (offer) => ({ ...offer, consistency: [] }))],
    ['a proof of nonsense', new Hub([...five, 'f'], (offer) => ({ ...offer, consistency: ['AA=='] }))],
    [
      'a proof without end',
      new Hub([...five, 'f'], (offer) => ({
        ...offer,
        consistency: Array.from({ length: 64 }, () => toBase64(new Uint8Array(32))),
      })),
    ],
    ['no note', new Hub(five, (offer) => ({ ...offer, checkpoint: 'nothing' }))],
    [
      'a changed signature',
      new Hub([...five, 'f'], (offer) => ({ ...offer, checkpoint: `${offer.checkpoint.slice(0, -6)}AAA=\n` })),
    ],
    [
      'another log',
      new Hub([...five, 'f'], (offer) => ({
        ...offer,
        checkpoint: offer.checkpoint.replaceAll('hub.example', 'bad.example'),
      })),
    ],
  ];
  for (const [what, hub] of lies) {
    await withFolder(async (open, folder) => {
      const opened = await open();
      await opened.checkIn(new Hub(five).send, 1);
      const before = await readFile(join(folder, 'checkpoint'), 'utf8');
      assert.equal((await opened.checkIn(hub.send, 2)).kind, 'unproven', what);
      assert.deepEqual(hub.cosigned, [], what);
      assert.equal(await readFile(join(folder, 'checkpoint'), 'utf8'), before, what);
    });
  }
});

// SECURITY.md: HUB-99
test('a device that has seen nothing, or the log before, takes no checkpoint of a log whose key was stolen or has ended', async () => {
  const endings: readonly (readonly [string, Partial<TrustedLog>, RegExp])[] = [
    ['stolen', { untilSeconds: 100, compromised: true }, /its key was stolen/],
    ['stolen from a time on that is not here yet', { untilSeconds: 9_999, compromised: true }, /its key was stolen/],
    ['ended', { untilSeconds: 200 }, /its key has ended/],
  ];
  for (const [what, times, why] of endings) {
    let log = alwaysLog(logKey);
    const forged = new Hub([...five, 'forged']);
    const refusedBy = async (device: Witness) => {
      const verdict = await device.checkIn(forged.send, 200);
      assert.ok(verdict.kind === 'unproven', `${what}: ${verdict.kind}`);
      assert.match(verdict.reasons.join(), why, what);
    };
    await withFolder(
      async (open, folder) => {
        const seeing = await open();
        await seeing.checkIn(new Hub(five).send, 99);
        const before = await readFile(join(folder, 'checkpoint'));
        log = { ...log, ...times };
        await refusedBy(seeing);
        await refusedBy(await open());
        assert.deepEqual(await readFile(join(folder, 'checkpoint')), before, what);
        await rm(join(folder, 'checkpoint'));
        await refusedBy(await open());
      },
      () => [log],
    );
    assert.deepEqual(forged.cosigned, [], what);
  }
});

test('a log whose key ends later is cosigned until then', async () => {
  const log = { ...alwaysLog(logKey), fromSeconds: 500, untilSeconds: 200 };
  await withFolder(
    async (open) => assert.equal((await (await open()).checkIn(new Hub(five).send, 199)).kind, 'cosigned'),
    () => [log],
  );
});

const foreignNote = async (name: string) =>
  parseUtf8(await signCheckpoint({ size: 0, root: edgeRoot(emptyEdge) }, newSigner(name)), 'note');

test('a remembered checkpoint of another log stops the agent instead of starting over', async () => {
  await withFolder(async (open, folder) => {
    await writeFile(join(folder, 'checkpoint'), await foreignNote('other.example/log'));
    await assert.rejects(open(), { code: 'state-invalid' });
  });
});

test('an emptied or damaged checkpoint is put back from its second copy', async () => {
  await withFolder(async (open, folder) => {
    const hub = new Hub(five);
    await (await open()).checkIn(hub.send, 1);
    for (const text of ['', '\0'.repeat(300), 'damaged', await foreignNote('hub.example/log')]) {
      await writeFile(join(folder, 'checkpoint'), text);
      assert.equal((await open()).size, 5, text);
    }
  });
});

// SECURITY.md: DEV-97
test('a device that lost what it saw in both copies follows no log before it is restored, and then none that forks from it', async () => {
  for (const text of ['', '\0'.repeat(300), await foreignNote('hub.example/log')]) {
    await withFolder(async (open, folder) => {
      const hub = new Hub(five);
      await (await open()).checkIn(hub.send, 1);
      const seen = await readFile(join(folder, 'checkpoint'));
      for (const name of ['checkpoint', 'checkpoint.copy']) await writeFile(join(folder, name), text);
      const lost = await open();
      assert.equal((await lost.checkIn(hub.send, 2)).kind, 'unproven', text);
      assert.equal(hub.cosigned.length, 1);
      await lost.recover([seen]);
      const other = new Hub(['a', 'b', 'other', 'd', 'e']);
      assert.equal((await lost.checkIn(other.send, 3)).kind, 'forked', text);
      assert.deepEqual(other.cosigned, []);
    });
  }
});

test('a fork proof that cannot be read ends nothing, and one that the operator removed is not put back', async () => {
  await withFolder(async (open, folder) => {
    await (await open()).checkIn(new Hub(five).send, 1);
    const forked = new Hub(['a', 'b', 'c', 'd', 'other']);
    assert.equal((await (await open()).checkIn(forked.send, 2)).kind, 'forked');
    const file = join(folder, 'fork-proof.json');
    await writeFile(file, '');
    const repaired = await open();
    assert.ok(repaired.forked && repaired.forkProof !== undefined);
    for (const path of [file, `${file}.copy`]) await writeFile(path, '');
    const unreadable = await open();
    assert.ok(unreadable.forked);
    assert.equal((await unreadable.checkIn(new Hub(five).send, 3)).kind, 'forked');
    await rm(file);
    assert.ok(!(await open()).forked);
  });
});
