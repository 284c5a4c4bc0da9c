import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { encodeVerifierKey, verifierKey } from '../audit/note.ts';
import { groupedPolicy, type Unreachable, witnessPolicy } from '../audit/quorum.ts';
import { parseTlogPolicy } from '../audit/tlog-policy.ts';
import { utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeManifest } from '../model/manifest.ts';
import { tiers } from '../attest/tier.ts';
import { type ReleasePolicy, releasePolicyDigest, releasePolicySchema } from '../model/release-policy.ts';
import type { KeyRelease } from './key-release.ts';
import { notProven } from './receipt-limits.ts';
import type { ReleaseEvidence } from './release-evidence.ts';
import { encodeReceipt, RECEIPT_BYTES_MAX, verifyReceipt } from './receipt.ts';
import type { KeyValidity } from '../authority/key-list.ts';
import { listedAt, testListedKey, testListRoot, testSignedList } from '../authority/testing-key-list.ts';
import { encodePublicKeyPem } from '../identity/public-key.ts';
import {
  releasedAtMs,
  type ReceiptChanges,
  testEd25519,
  testLogKey,
  testP256,
  testReceiptParts,
  testTrust,
  testWitnesses,
} from './testing-receipt.ts';
import { signerFromKey } from '../signer.ts';
import {
  always,
  alwaysLog,
  type CertifiedTrust,
  certifiedTrust,
  parseTrust,
  type Trust,
  type TrustedKey,
} from './trust.ts';
import { encodeTrust } from './testing-trust.ts';

const good = encodeReceipt(await testReceiptParts());

test('a receipt proves device, boot, model, policy, lease and place in the log', () => {
  const verdict = verifyReceipt(good, testTrust(2));
  assert.equal(verdict.kind, 'verified');
  if (verdict.kind !== 'verified') return;
  const { release, attestation, log } = verdict.summary;
  assert.equal(release.device.id, 'press-7');
  assert.equal(attestation.status, 'affirming');
  assert.equal(log.index, 5);
  assert.deepEqual(
    log.cosignatures.map(({ witness }) => witness),
    testWitnesses.map(({ name }) => name),
  );
  assert.ok(good.length < RECEIPT_BYTES_MAX);
});

test('a receipt is refused, with the reason, when any of its claims is not true', async (t) => {
  const other = encodeManifest({
    type: 'edgekeep-model-manifest/v1',
    name: 'surface',
    version: '1.2.0',
    files: [{ path: 'other.onnx', role: 'primary', mediaType: 'application/onnx', size: 5, sha256: 'bb'.repeat(32) }],
  });
  const parts = await testReceiptParts();
  const lease = verifiedRelease().lease;
  const cases: readonly (readonly [string, ReceiptChanges, RegExp])[] = [
    ['another device attested', { result: { subject: 'press-8' } }, /attestation: .*press-8/],
    ['a software device is called a TPM', { result: { tier: 'software' } }, /attestation: .*software/],
    ['the device was unhealthy', { result: { status: 'contraindicated' } }, /attestation: .*contraindicated/],
    ['the attestation is of yesterday', { result: { issuedAt: 1_800_000_000 - 86_400 } }, /attestation: .*old/],
    ['another result was logged', { release: { attestationResult: '00'.repeat(32) } }, /attestation: .*logged/],
    ['another manifest is shown', { shownManifest: other }, /model: .*manifest/],
    ['another model was released', { manifest: { version: '1.3.0' } }, /model: .*1\.3\.0/],
    ['the lease is of another device', { release: { lease: { ...lease, deviceId: 'press-9' } } }, /entry: .*press-9/],
    ['the lease is of another model', { release: { lease: { ...lease, model: 'other' } } }, /entry: .*other/],
    ['the lease was over', { atMs: 1_800_003_600_000 }, /entry: .*lease/],
    ['too few witnesses', { cosigners: testWitnesses.slice(0, 1) }, /log: 1 of 2 required/],
    ['no witness at all', { cosigners: [] }, /log: 0 of 2 required/],
  ];
  for (const [name, changes, reason] of cases) {
    await t.test(name, async () => {
      const verdict = verifyReceipt(encodeReceipt(await testReceiptParts(changes)), testTrust(2));
      assert.equal(verdict.kind, 'refused');
      if (verdict.kind === 'refused') assert.match(verdict.reasons.join('\n'), reason);
    });
  }
  await t.test('the entry is not the logged one', async () => {
    const { entry } = await testReceiptParts({ release: { policy: { name: 'lax', digest: '33'.repeat(32) } } });
    refusedWith(encodeReceipt({ ...parts, entry }), testTrust(), /log: the inclusion proof/);
  });
});

const releasePolicy: ReleasePolicy = {
  tiers: ['tpm'],
  releases: ['ab'.repeat(32)],
  makers: ['cd'.repeat(32)],
  groups: ['line-1'],
  quorum: 1,
};
const permitted: ReceiptChanges = {
  manifest: { type: 'edgekeep-model-manifest/v2', releasePolicy },
  result: { policyId: `press-line 3 sha256:${'ab'.repeat(32)}` },
  release: { releasePolicy: { digest: releasePolicyDigest(releasePolicy), maker: 'cd'.repeat(32), group: 'line-1' } },
};

test('a release policy can name every tier', () => {
  assert.deepEqual(releasePolicySchema.parse({ tiers: [...tiers] }), { tiers });
});

const receiverSigner = { name: 'hub.example/device/press-7', signer: signerFromKey(testEd25519(31)) };

// SECURITY.md: DEV-78
test('a receipt shows that a key was released against the release policy that its publisher signed', async (t) => {
  const verify = async (changes: ReceiptChanges, witnesses?: 'later') =>
    verifyReceipt(
      encodeReceipt(await testReceiptParts({ ...permitted, ...changes })),
      testTrust(0),
      undefined,
      witnesses,
    );
  assert.equal((await verify({})).kind, 'verified');
  const named = permitted.release?.releasePolicy;
  assert.ok(named !== undefined);
  const without = (member: 'maker' | 'group') => {
    const { [member]: _, ...rest } = named;
    return { release: { releasePolicy: rest } };
  };
  const software = {
    result: { ...permitted.result, tier: 'software', vector: { 'instance-identity': 2, executables: 3, hardware: 32 } },
    release: { ...permitted.release, device: { id: 'press-7', tier: 'software', certificate: '11'.repeat(32) } },
  } as const;
  const cases: readonly (readonly [string, ReceiptChanges, RegExp])[] = [
    ['the entry hides the policy', { release: {} }, /publisher: .*the entry names none/],
    [
      'the entry names another policy',
      { release: { releasePolicy: { ...named, digest: '00'.repeat(32) } } },
      /publisher: .*0000/,
    ],
    [
      'a device without hardware',
      { ...software, result: { ...software.result, status: 'warning' } },
      /publisher: the tier is software/,
    ],
    [
      'another boot',
      { result: { policyId: `press-line 3 sha256:${'ac'.repeat(32)}` } },
      /publisher: the boot is that of acac/,
    ],
    ['a boot without a digest', { result: { policyId: 'press-line 3' } }, /publisher: no reference values/],
    [
      'another maker',
      { release: { releasePolicy: { ...named, maker: 'ce'.repeat(32) } } },
      /publisher: no certificate/,
    ],
    ['no maker', without('maker'), /publisher: no certificate/],
    ['another group', { release: { releasePolicy: { ...named, group: 'lab' } } }, /publisher: the device is in none/],
    ['no group', without('group'), /publisher: the device is in none/],
    // press-7 is the receiver: its own word about the log does not count.
    ['the receiver alone cosigned', { cosigners: [receiverSigner] }, /publisher: 0 other witnesses/],
    ['a policy that nobody signed', { manifest: {} }, /publisher: .*signed none/],
  ];
  for (const [name, changes, reason] of cases) {
    await t.test(name, async () => {
      const verdict = await verify(changes);
      assert.equal(verdict.kind, 'refused');
      if (verdict.kind === 'refused') assert.match(verdict.reasons.join('\n'), reason);
    });
  }
  await t.test('a device gets its receipt before others cosign', async () => {
    assert.equal((await verify({ cosigners: [] }, 'later')).kind, 'verified');
  });
});

test('a receipt is refused under any other key than the one that made it', async (t) => {
  const trust = testTrust(1);
  const stranger = testP256(9);
  const strangeLog = verifierKey(testLogKey.name, signerFromKey(testEd25519(9)).publicKey, 'ed25519');
  const strangers: readonly (readonly [string, Partial<Trust>, RegExp])[] = [
    ['log', { logs: [alwaysLog(strangeLog)] }, /^log:/m],
    ['verifier', { attestationKeys: [always(signerFromKey(stranger).publicKey)] }, /^attestation:/m],
    ['publisher', { publisherKeys: [always(signerFromKey(stranger).publicKey)] }, /^model:/m],
    ['witnesses', { policy: witnessPolicy([strangerWitness()], 1) }, /^log: 0 of 1 required/m],
  ];
  for (const [name, change, reason] of strangers) {
    await t.test(name, () => refusedWith(good, { ...trust, ...change }, reason));
  }
});

test('a receipt of a large model names manifest and signature, and verifies with the files beside it', async () => {
  const files = Array.from({ length: 80 }, (_, at) => ({
    path: `weights/part-${at}.bin`,
    role: 'data' as const,
    mediaType: 'application/octet-stream',
    size: at,
    sha256: at.toString(16).padStart(64, '0'),
  }));
  const parts = await testReceiptParts({ manifest: { files } });
  const receipt = encodeReceipt(parts);
  assert.ok(receipt.length <= RECEIPT_BYTES_MAX);
  assert.equal(verifyReceipt(receipt, testTrust(), parts).kind, 'verified');
  refusedWith(receipt, testTrust(), /model: .*not in the receipt/);
  const other = await testReceiptParts();
  assert.equal(verifyReceipt(receipt, testTrust(), other).kind, 'refused');
});

// SECURITY.md: HUB-34
test('no changed byte of a receipt goes unnoticed', () => {
  const trust = testTrust(2);
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const changed = Uint8Array.from(good);
      changed[at] = (changed[at] ?? 0) ^ flip;
      assert.equal(kindOf(changed, trust), 'not verified');
    }),
    { numRuns: 300 },
  );
});

test('a receipt that is cut, too large, not canonical or not of a key release is broken input', async () => {
  const trust = testTrust();
  const broken: readonly Uint8Array[] = [
    good.subarray(0, good.length - 1),
    Buffer.concat([good, utf8('\n')]),
    Buffer.alloc(RECEIPT_BYTES_MAX + 1, 0x20),
    utf8('['.repeat(8000) + ']'.repeat(8000)),
    utf8('{}'),
    encodeReceipt(await testReceiptParts({ entryKind: 'device-enrolled' })),
  ];
  for (const bytes of broken) assert.throws(() => verifyReceipt(bytes, trust), CoreError);
  assert.throws(
    () => verifyReceipt(utf8(Buffer.from(good).toString().replace('"manifest":"', '"manifest":{"sha256":"')), trust),
    CoreError,
  );
});

test('a trust file says again what it was made of', () => {
  const trust = testTrust(2);
  const again = parseTrust(encodeTrust(trust));
  assert.deepEqual(encodeTrust(again), encodeTrust(trust));
  assert.equal(verifyReceipt(good, again).kind, 'verified');
});

test('a trust file with a private key, a witness twice, or a quorum out of reach is refused', () => {
  const file = JSON.parse(Buffer.from(encodeTrust(testTrust(2))).toString());
  const secret = testP256(4).export({ type: 'pkcs8', format: 'pem' }).toString();
  const wrong: readonly object[] = [
    { attestationKeys: [secret] },
    { publisherKeys: [] },
    { witnesses: [file.witnesses[0], file.witnesses[0]] },
    { witnesses: [file.log] },
    { log: file.witnesses[0] },
    { quorum: 3 },
    { quorum: -1 },
    { more: true },
  ];
  for (const change of wrong) {
    assert.throws(() => parseTrust(utf8(JSON.stringify({ ...file, ...change }))), CoreError, JSON.stringify(change));
  }
});

function refusedWith(receipt: Uint8Array, trust: Trust, reason: RegExp): void {
  const verdict = verifyReceipt(receipt, trust);
  assert.equal(verdict.kind, 'refused');
  if (verdict.kind === 'refused') assert.match(verdict.reasons.join('\n'), reason);
}

function kindOf(receipt: Uint8Array, trust: Trust): 'verified' | 'not verified' {
  try {
    return verifyReceipt(receipt, trust).kind === 'verified' ? 'verified' : 'not verified';
  } catch (error) {
    assert.ok(error instanceof CoreError, String(error));
    return 'not verified';
  }
}

function verifiedRelease() {
  const verdict = verifyReceipt(good, testTrust());
  return verdict.kind === 'verified' ? verdict.summary.release : assert.fail(verdict.reasons.join('; '));
}

function strangerWitness() {
  return verifierKey('hub.example/device/stranger', signerFromKey(testEd25519(9)).publicKey, 'cosignature-v1');
}

test('a key counts in its time: an old receipt verifies after the key has ended, and a late one does not', () => {
  const at = Math.floor(releasedAtMs / 1_000);
  const trust = testTrust(1);
  const during = { fromSeconds: at - 3_600, untilSeconds: at + 1, compromised: false };
  const before = { ...during, fromSeconds: 0, untilSeconds: at - 3_600 };
  const after = { ...during, fromSeconds: at + 1, untilSeconds: undefined };
  const of = (times: KeyValidity, what: 'logs' | 'attestationKeys' | 'publisherKeys'): Trust => {
    return { ...trust, [what]: trust[what].map((key) => ({ ...key, ...times })) };
  };
  for (const what of ['logs', 'attestationKeys', 'publisherKeys'] as const) {
    assert.equal(verifyReceipt(good, of(during, what)).kind, 'verified', what);
    for (const times of what === 'logs' ? [before] : [before, after]) {
      if (what === 'publisherKeys') refusedWith(good, of(times, what), /^model:/m);
      else refusedWith(good, of(times, what), /is of a time at which the key did not count/);
    }
  }
});

test('under a stolen log key only what witnesses saw before its end counts, at any quorum', () => {
  const seen = Math.floor(releasedAtMs / 1_000) + 2;
  const stolen = (untilSeconds: number, quorum: number): Trust => {
    const trust = testTrust(quorum);
    return { ...trust, logs: trust.logs.map((log) => ({ ...log, untilSeconds, compromised: true })) };
  };
  assert.equal(verifyReceipt(good, stolen(seen + 60, 0)).kind, 'verified');
  refusedWith(good, stolen(seen - 1, 0), /the log's key was stolen: 0 of 1 witnesses cosigned before its end/);
  refusedWith(good, stolen(seen - 1, 2), /the log's key was stolen/);
});

test('a trust file of the version before has no times, and its keys count at any time', () => {
  const { logs, attestationKeys, publisherKeys } = testTrust();
  const pem = ({ publicKey }: TrustedKey) => encodePublicKeyPem(publicKey);
  const former = {
    type: 'edgekeep-trust/v1',
    log: logs.map(({ key }) => encodeVerifierKey(key)).join(),
    attestationKeys: attestationKeys.map(pem),
    publisherKeys: publisherKeys.map(pem),
    witnesses: [],
    quorum: 0,
  };
  assert.equal(verifyReceipt(good, parseTrust(utf8(JSON.stringify(former)))).kind, 'verified');
});

test('the root’s signature replaces the hub’s word: a trust file that names another key is refused', async () => {
  const root = await testListRoot();
  const keys = [testListedKey('log', testEd25519(1)), testListedKey('attestation-result', testP256(5))];
  const keyList = await testSignedList(root, { hub: encodeVerifierKey(testLogKey), number: 1, keys });
  const trust = parseTrust(encodeTrust({ ...testTrust(), keyList }));
  const certified = certifiedTrust(trust, [root.certificate], listedAt);
  assert.ok(certified.kind === 'certified');
  assert.equal(verifyReceipt(good, certified.trust).kind, 'verified');
  const other = await testListRoot();
  assert.match(reasonsOf(certifiedTrust(trust, [other.certificate], listedAt)), /no root .* is trusted here/);
  assert.match(reasonsOf(certifiedTrust(testTrust(), [root.certificate], listedAt)), /has no key list/);
  const added = { ...trust, attestationKeys: [...trust.attestationKeys, always(signerFromKey(testP256(9)).publicKey)] };
  assert.match(reasonsOf(certifiedTrust(added, [root.certificate], listedAt)), /is not on the root's key list/);
});

test('after its end a publisher counts for the manifests that it published before, and for no other', () => {
  const at = Math.floor(releasedAtMs / 1_000);
  const own = parseReleasedManifest(good);
  const under = (manifests: readonly string[] | undefined, untilSeconds = at - 60) => {
    const trust = testTrust();
    const publisherKeys = trust.publisherKeys.map((key) => ({ ...key, untilSeconds, manifests }));
    return { ...trust, publisherKeys };
  };
  assert.equal(verifyReceipt(good, under([own])).kind, 'verified');
  assert.equal(verifyReceipt(good, under([], at + 60)).kind, 'verified');
  for (const manifests of [undefined, [], ['0'.repeat(64)]]) refusedWith(good, under(manifests), /model: /);
});

test('a trust file is of version 3 where a publisher has an end, and as before where none has', () => {
  const typeOf = (trust: Trust): string => JSON.parse(Buffer.from(encodeTrust(trust)).toString()).type;
  const trust = testTrust();
  assert.equal(typeOf(trust), 'edgekeep-trust/v2');
  const [key] = trust.publisherKeys;
  assert.ok(key !== undefined);
  const ended = { ...trust, publisherKeys: [{ ...key, untilSeconds: 9, manifests: ['ab'.repeat(32)] }, key] };
  assert.equal(typeOf(ended), 'edgekeep-trust/v3');
  const [read, other] = parseTrust(encodeTrust(ended)).publisherKeys;
  assert.deepEqual([read?.untilSeconds, read?.manifests], [9, ['ab'.repeat(32)]]);
  assert.deepEqual([other?.untilSeconds, other?.manifests], [undefined, undefined]);
  const text = Buffer.from(encodeTrust(ended)).toString();
  assert.throws(() => parseTrust(utf8(text.replace('trust/v3', 'trust/v2'))), { code: 'json-schema' });
  assert.throws(() => parseTrust(utf8(text.replace('"abab', '"zzab'))), { code: 'json-schema' });
});

function parseReleasedManifest(receipt: Uint8Array): string {
  const { entry }: { entry: string } = JSON.parse(Buffer.from(receipt).toString());
  const { data }: { data: { model: { manifestDigest: string } } } = JSON.parse(
    Buffer.from(entry, 'base64url').toString(),
  );
  return data.model.manifestDigest;
}

test('a trust file whose key list is dated in the future, or valid for too long, is refused; one that is too old is taken', async () => {
  const root = await testListRoot();
  const keys = [testListedKey('log', testEd25519(1)), testListedKey('attestation-result', testP256(5))];
  const dated = async (issuedAtSeconds: number, days: number) => {
    const validUntilSeconds = issuedAtSeconds + days * 86_400;
    const list = { hub: encodeVerifierKey(testLogKey), number: 1, keys, issuedAtSeconds, validUntilSeconds };
    return certifiedTrust({ ...testTrust(), keyList: await testSignedList(root, list) }, [root.certificate], listedAt);
  };
  assert.match(reasonsOf(await dated(listedAt + 301, 400)), /dated in the future/);
  assert.match(reasonsOf(await dated(listedAt, 1_097)), /more than 1096 days/);
  assert.equal((await dated(listedAt + 300, 1_096)).kind, 'certified');
  assert.equal((await dated(listedAt - 4_000 * 86_400, 400)).kind, 'certified');
});

function reasonsOf(verdict: CertifiedTrust): string {
  return verdict.kind === 'refused' ? verdict.reasons.join('\n') : '';
}

const digest = 'ee'.repeat(32);
const evidence: ReleaseEvidence = { kind: 'software', statement: digest, eventLog: digest, signingKey: digest };
const named = (id: string, seed: number) => ({
  name: `device/${id}`,
  key: verifierKey(`hub.example/device/${id}`, signerFromKey(testEd25519(seed)).publicKey, 'cosignature-v1'),
});
const cosignerOf = (id: string, seed: number) => ({
  name: `hub.example/device/${id}`,
  signer: signerFromKey(testEd25519(seed)),
});
const [receiver, one, two] = [named('press-7', 31), named('press-8', 32), named('press-9', 33)];
const fleetText = (threshold: number) => `group fleet ${threshold} device/press-7 device/press-8 device/press-9`;
const witnessLines = [receiver, one, two].map(({ name, key }) => `witness ${name} ${encodeVerifierKey(key)}`);
const policyOf = (...lines: readonly string[]) => parseTlogPolicy(utf8([...witnessLines, ...lines].join('\n')));

function groupedTrust(
  lines: readonly string[],
  more: Partial<Trust> & { unreachable?: Unreachable; ended?: number } = {},
) {
  const { witnesses, quorum } = policyOf(...lines);
  const { unreachable, ended, ...change } = more;
  const endedSeconds = new Map(ended === undefined ? [] : [['device/press-8', ended]]);
  return { ...testTrust(), policy: groupedPolicy(witnesses, quorum, { endedSeconds, unreachable }), ...change };
}

const cosignedBy = async (ids: readonly (readonly [string, number])[], release: Partial<KeyRelease> = {}) =>
  encodeReceipt(await testReceiptParts({ release, cosigners: ids.map(([id, seed]) => cosignerOf(id, seed)) }));
const byReceiver = ['press-7', 31] as const;
const byOne = ['press-8', 32] as const;
const byTwo = ['press-9', 33] as const;

// SECURITY.md: HUB-96
test('a reader does not count the receiver of the key, nor two devices of one token twice', async () => {
  const fleet = groupedTrust([fleetText(2), 'quorum fleet']);
  refusedWith(await cosignedBy([byReceiver, byOne]), fleet, /log: 1 of 2 required/);
  assert.equal(verifyReceipt(await cosignedBy([byReceiver, byOne, byTwo]), fleet).kind, 'verified');
  const token = [
    'group token/12 any device/press-8 device/press-9',
    'group fleet all device/press-7 token/12',
    'quorum fleet',
  ];
  refusedWith(await cosignedBy([byOne, byTwo]), groupedTrust(token), /in the groups of fleet/);
  const plain = { ...testTrust(), policy: witnessPolicy([receiver.key, one.key], 1) };
  refusedWith(await cosignedBy([byReceiver]), plain, /log: 0 of 1 required/);
  assert.equal(verifyReceipt(await cosignedBy([byOne]), plain).kind, 'verified');
  // Nor under another name that a policy file has for its key.
  const renamed = parseTlogPolicy(utf8(`witness press ${encodeVerifierKey(receiver.key)}\nquorum press\n`));
  const alias = { ...testTrust(), policy: groupedPolicy(renamed.witnesses, renamed.quorum) };
  refusedWith(await cosignedBy([byReceiver]), alias, /log: 0 of 1 required/);
  // A trust file of version 1 means what it meant when it was made.
  const former = { ...plain, policy: { ...plain.policy, countsReceiver: true as const } };
  assert.equal(verifyReceipt(await cosignedBy([byReceiver]), former).kind, 'verified');
});

// SECURITY.md: DEV-101
test('the present and the former keys of a device are one cosigner for a publisher who asks for two, under any name', async () => {
  const other = named('press-10', 34);
  const lines = [
    `witness device/press-8 ${encodeVerifierKey(one.key)}`,
    `witness device/press-8/key/1 ${encodeVerifierKey(two.key)}`,
    `witness device/press-10 ${encodeVerifierKey(other.key)}`,
  ];
  const { witnesses } = parseTlogPolicy(utf8([...lines, 'quorum none'].join('\n')));
  const trust = { ...testTrust(), policy: groupedPolicy(witnesses, 'none') };
  const policy = { ...releasePolicy, quorum: 2 };
  const release = { ...permitted.release?.releasePolicy, digest: releasePolicyDigest(policy) };
  const by = async (...ids: readonly (readonly [string, number])[]) => {
    const manifest = { ...permitted.manifest, releasePolicy: policy };
    const cosigners = ids.map(([id, seed]) => cosignerOf(id, seed));
    const changes = { ...permitted, manifest, release: { releasePolicy: release }, cosigners };
    return encodeReceipt(await testReceiptParts(changes));
  };
  refusedWith(await by(byOne, byTwo), trust, /publisher: 1 other witnesses cosigned; the publisher asks for 2/);
  assert.equal(verifyReceipt(await by(byOne, ['press-10', 34]), trust).kind, 'verified');
});

// SECURITY.md: HUB-97
test('a quorum that cannot be met does not shrink: the receipt is refused, or named weaker where log and trust file say so', async () => {
  const unreachable = { required: 2, available: 1 };
  const cosigned = [byOne] as const;
  const said = { evidence, witnessing: { policy: '44'.repeat(32), reachable: false } };
  const short = (more: Partial<Trust>) => groupedTrust(['quorum none'], { unreachable, ...more });
  const silent = await cosignedBy(cosigned, { evidence, witnessing: { ...said.witnessing, reachable: true } });
  const honest = await cosignedBy(cosigned, said);
  for (const trust of [short({}), short({ whenUnmet: 'refuse' })]) refusedWith(honest, trust, /asks for 2 .* has 1/);
  refusedWith(silent, short({ whenUnmet: 'name-weaker' }), /asks for 2 .* has 1/);
  const verdict = verifyReceipt(honest, short({ whenUnmet: 'name-weaker' }));
  if (verdict.kind !== 'verified') assert.fail(verdict.reasons.join('; '));
  assert.match(verdict.summary.weaker ?? '', /asks for 2 .* has 1/);
  assert.match(notProven(verdict.summary).join('\n'), /that independent witnesses saw the entry/);
  // A false line is no missing one.
  const parts = await testReceiptParts({ release: said, cosigners: [cosignerOf(...byOne)] });
  const proof = Buffer.from(parts.proof)
    .toString()
    .replace(/(.{8})\n$/, 'AAAAAAA=\n');
  refusedWith(
    encodeReceipt({ ...parts, proof: utf8(proof) }),
    groupedTrust([fleetText(2), 'quorum fleet'], { whenUnmet: 'name-weaker' }),
    /cosignature by .*press-8 is false/,
  );
  const whole = verifyReceipt(await cosignedBy([byOne, byTwo], said), groupedTrust([fleetText(2), 'quorum fleet']));
  assert.ok(whole.kind === 'verified' && whole.summary.weaker === undefined);
});

test('a device that was retired witnesses what it saw before, and nothing after', async () => {
  const seconds = 1_800_000_010;
  const lines = [fleetText(1), 'quorum fleet'];
  const bytes = await cosignedBy([byOne]);
  assert.equal(verifyReceipt(bytes, groupedTrust(lines, { ended: seconds + 1 })).kind, 'verified');
  refusedWith(bytes, groupedTrust(lines, { ended: seconds }), /log: 0 of 1 required/);
});

test('a trust file in which nothing can be met asks for at least one witness', () => {
  const unreachable = { required: 0, available: 0 };
  const file = encodeTrust(groupedTrust([fleetText(2), 'quorum fleet'], { unreachable }));
  assert.throws(() => parseTrust(file), { code: 'json-schema' });
});

test('a trust file with groups says again what it was made of', () => {
  const trust = groupedTrust([fleetText(2), 'quorum fleet'], { ended: 1_800_000_000, whenUnmet: 'name-weaker' });
  const again = parseTrust(encodeTrust(trust));
  assert.deepEqual(encodeTrust(again), encodeTrust(trust));
  assert.equal(again.whenUnmet, 'name-weaker');
  const file = JSON.parse(Buffer.from(encodeTrust(trust)).toString());
  for (const change of [{ witnesses: [], quorum: 0 }, { witnessPolicy: undefined }]) {
    assert.throws(() => parseTrust(utf8(JSON.stringify({ ...file, ...change }))), CoreError);
  }
});
