// Every vector of spec/vectors/audit: valid and invalid, one outcome each (spec/audit-log.md and spec/receipt.md).
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import type { MakerRoots } from '../access/evidence-origin.ts';
import { verifyLongReceipt } from '../access/long-receipt.ts';
import { verifyReceipt } from '../access/receipt.ts';
import { readCertificateFile } from '../identity/certificate-file.ts';
import { isEnough, parseTlogPolicy } from './tlog-policy.ts';
import { parseTrust } from '../access/trust.ts';
import { parseBase64, toBase64, toHex, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeAddCheckpoint, parseAddCheckpoint } from './add-checkpoint.ts';
import { openCheckpoint } from './checkpoint.ts';
import { encodeAuditEntry, parseAuditEntry } from './entry.ts';
import { followCheckpoint } from './follower.ts';
import { encodeForkProof, parseForkProof, verifyForkProof } from './fork-proof.ts';
import { leafHash, verifyConsistency, verifyInclusion } from './merkle.ts';
import { encodeNote, encodeVerifierKey, parseNote, parseVerifierKey, verifyNote } from './note.ts';
import { encodeTlogProof, parseTlogProof, verifyTlogProof } from './proof.ts';
import { verifyQuorum, witnessPolicy } from './quorum.ts';
import { encodeEntryBundle, parseEntryBundle, parseTilePath, tilePath } from './tile.ts';
import { appendLeaves, edgeRoot, emptyEdge } from './tree-edge.ts';

const folder = join(import.meta.dirname, '../../../spec/vectors/audit');
const bytes = z.string().transform((text) => parseBase64(text, 'vector'));
const hashes = z.array(bytes);
const common = { comment: z.string().min(1), expect: z.string() };
const witnesses = { vkey: z.string(), witnesses: z.array(z.string()), quorum: z.int() };

/** The outcome of a vector of each subject: `verified`, `refused`, a word of its own, or (thrown) an error code. */
const subjects: Readonly<Record<string, (vector: unknown) => string>> = {
  tree(vector) {
    const { entries, roots } = z
      .strictObject({ ...common, entries: z.array(z.string()), roots: z.array(z.string()) })
      .parse(vector);
    const leaves = entries.map((entry) => leafHash(Buffer.from(entry, 'hex')));
    const found = roots.map((_, size) => toHex(edgeRoot(appendLeaves(emptyEdge, leaves.slice(0, size)).edge)));
    assert.deepEqual(found, roots);
    return 'equal';
  },
  inclusion(vector) {
    const schema = { ...common, leafHash: bytes, index: z.int(), size: z.int(), root: bytes, proof: hashes };
    return yes(verifyInclusion(z.strictObject(schema).parse(vector)));
  },
  consistency(vector) {
    const schema = { ...common, from: z.int(), fromRoot: bytes, to: z.int(), toRoot: bytes, proof: hashes };
    return yes(verifyConsistency(z.strictObject(schema).parse(vector)));
  },
  note(vector) {
    const { vkey, note } = z.strictObject({ ...common, vkey: z.string(), note: z.string() }).parse(vector);
    const key = parseVerifierKey(vkey);
    assert.equal(encodeVerifierKey(key), vkey);
    const parsed = parseNote(utf8(note));
    assert.equal(Buffer.from(encodeNote(parsed)).toString(), note);
    return verifyNote(parsed, key).kind;
  },
  checkpoint(vector) {
    const value = z.strictObject({ ...common, ...witnesses, checkpoint: z.string() }).parse(vector);
    const policy = witnessPolicy(value.witnesses.map(parseVerifierKey), value.quorum);
    const opened = openCheckpoint(utf8(value.checkpoint), parseVerifierKey(value.vkey));
    if (opened.kind === 'refused') return 'refused';
    return yes(verifyQuorum(opened.note, policy).kind === 'met');
  },
  'tile-path'(vector) {
    const schema = { level: z.union([z.int(), z.literal('entries')]), index: z.int(), width: z.int() };
    const { path, ...address } = z
      .strictObject({ ...common, path: z.string(), ...schema })
      .partial()
      .parse(vector);
    const found = parseTilePath(path ?? '');
    assert.deepEqual(found, { level: address.level, index: address.index, width: address.width });
    assert.equal(tilePath(found), path);
    return 'equal';
  },
  'entry-bundle'(vector) {
    const schema = { ...common, width: z.int(), bundle: bytes, entries: z.array(z.string()).optional() };
    const { width, bundle, entries } = z.strictObject(schema).parse(vector);
    const found = parseEntryBundle(bundle, width);
    assert.deepEqual(found.map(toBase64), entries);
    assert.equal(toBase64(encodeEntryBundle(found)), toBase64(bundle));
    return 'equal';
  },
  proof(vector) {
    const value = z.strictObject({ ...common, ...witnesses, entry: bytes, proof: z.string() }).parse(vector);
    const proof = parseTlogProof(utf8(value.proof));
    assert.equal(Buffer.from(encodeTlogProof(proof)).toString(), value.proof);
    const policy = witnessPolicy(value.witnesses.map(parseVerifierKey), value.quorum);
    return verifyTlogProof(proof, leafHash(value.entry), parseVerifierKey(value.vkey), policy).kind;
  },
  witness(vector) {
    const schema = { ...common, vkey: z.string(), lastSeen: z.string().nullable(), request: z.string() };
    const { vkey, lastSeen, request } = z.strictObject(schema).parse(vector);
    const parsed = parseAddCheckpoint(utf8(request));
    assert.equal(Buffer.from(encodeAddCheckpoint(parsed)).toString(), request);
    const key = parseVerifierKey(vkey);
    const verdict = followCheckpoint(lastSeen === null ? undefined : utf8(lastSeen), parsed, key);
    if (verdict.kind === 'refused') return String(verdict.status);
    if (verdict.kind === 'fork') {
      assert.equal(verifyForkProof(parseForkProof(encodeForkProof(verdict.proof)), key).kind, 'proven');
    }
    return verdict.kind;
  },
  'fork-proof'(vector) {
    const { vkey, forkProof } = z.strictObject({ ...common, vkey: z.string(), forkProof: z.string() }).parse(vector);
    const proof = parseForkProof(utf8(forkProof));
    assert.equal(Buffer.from(encodeForkProof(proof)).toString(), forkProof);
    return verifyForkProof(proof, parseVerifierKey(vkey)).kind;
  },
  entry(vector) {
    const value = z.strictObject({ ...common, entry: z.string(), leafHash: z.string().optional() }).parse(vector);
    const entry = parseAuditEntry(utf8(value.entry));
    assert.equal(Buffer.from(encodeAuditEntry(entry)).toString(), value.entry);
    assert.equal(toBase64(leafHash(utf8(value.entry))), value.leafHash);
    return 'equal';
  },
  receipt(vector) {
    const schema = {
      ...common,
      trust: z.unknown(),
      receipt: z.string(),
      manifest: bytes.optional(),
      modelSignature: bytes.optional(),
    };
    const { trust, receipt, manifest, modelSignature } = z.strictObject(schema).parse(vector);
    const beside = manifest === undefined || modelSignature === undefined ? undefined : { manifest, modelSignature };
    return verifyReceipt(utf8(receipt), parseTrust(utf8(JSON.stringify(trust))), beside).kind;
  },
  'long-receipt'(vector) {
    const schema = { ...common, trust: z.unknown(), longReceipt: z.string(), makers: z.string() };
    const { trust, longReceipt, makers } = z.strictObject(schema).parse(vector);
    return verifyLongReceipt(utf8(longReceipt), parseTrust(utf8(JSON.stringify(trust))), makersIn(makers)).kind;
  },
  'tlog-policy'(vector) {
    const schema = { ...common, policy: z.string(), cosigned: z.array(z.string()) };
    const { policy, cosigned } = z.strictObject(schema).parse(vector);
    return isEnough(parseTlogPolicy(utf8(policy)).quorum, new Set(cosigned)) ? 'met' : 'refused';
  },
};

function makersIn(pem: string): MakerRoots {
  const anchors = pem === '' ? [] : readCertificateFile(utf8(pem), 'makers').certificates;
  return { tpm: { anchors, intermediates: [] }, dice: { anchors: [], intermediates: [] } };
}

test('every folder of vectors has a reader and every reader its vectors', () => {
  assert.deepEqual(readdirSync(folder).toSorted(), Object.keys(subjects).toSorted());
});

for (const [subject, run] of Object.entries(subjects)) {
  for (const file of readdirSync(join(folder, subject))) {
    const vector: unknown = JSON.parse(readFileSync(join(folder, subject, file), 'utf8'));
    const { comment, expect } = z.looseObject(common).parse(vector);
    test(`${subject}/${file} is ${expect}: ${comment}`, () => {
      let outcome: string;
      try {
        outcome = run(vector);
      } catch (error) {
        if (!(error instanceof CoreError)) throw error;
        outcome = error.code;
      }
      assert.equal(outcome, expect);
    });
  }
}

function yes(is: boolean): string {
  return is ? 'verified' : 'refused';
}
