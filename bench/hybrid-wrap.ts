// What a hybrid wrap costs at the hub beside a classical one, in the same run: `node bench/hybrid-wrap.ts`. Batches of both take turns, and the medians
// are compared, so that a busy machine slows both.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { xwingPublicKey } from '@edgekeep/core/post-quantum/xwing';
import { wrapForDevice, type WrapTarget, type WrapUse } from '@edgekeep/hub/attest/wrap-target';
import { endorsementTemplate } from '@edgekeep/core/tpm/template';

const batches = 41;
const perBatch = 50;
const lease = {
  id: 'lease',
  deviceId: 'press-1',
  model: 'belt',
  version: '1.0.0',
  manifestDigest: 'a'.repeat(64),
  notBefore: 1,
  renewAfter: 2,
  notAfter: 3,
};
const context = { purpose: 'model key', lease } as const;
const modelKey = randomBytes(32);
const hybridKey = xwingPublicKey(randomBytes(32));
const appraisal = { pcrSelection: [0, 7], pcrDigest: '00'.repeat(32) };

function targets(): Readonly<Record<string, WrapTarget>> {
  const { publicKey: recipient } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { n } = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });
  const { template } = endorsementTemplate('rsa-2048');
  if (template.kind !== 'rsa') throw new TypeError('expected an RSA template');
  const parent = { ...template, modulus: Buffer.from(n ?? '', 'base64url') };
  return { software: { kind: 'hpke', recipient }, tpm: { kind: 'tpm', parent, parentKind: 'rsa-2048' } };
}

/** Microseconds of one wrap. */
function timed(target: WrapTarget, use: WrapUse): number {
  const begun = performance.now();
  for (let at = 0; at < perBatch; at += 1) wrapForDevice(modelKey, target, appraisal, use);
  return ((performance.now() - begun) / perBatch) * 1_000;
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const sizeOf = (target: WrapTarget, use: WrapUse) =>
  JSON.stringify(wrapForDevice(modelKey, target, appraisal, use)).length;

for (const [name, target] of Object.entries(targets())) {
  const uses = { classical: { form: 'bound', context }, hybrid: { form: 'hybrid', context, hybridKey } } as const;
  const classical: number[] = [];
  const hybrid: number[] = [];
  for (let batch = 0; batch < batches; batch += 1) {
    classical.push(timed(target, uses.classical));
    hybrid.push(timed(target, uses.hybrid));
  }
  const [before, after] = [median(classical), median(hybrid)];
  const sizes = `${sizeOf(target, uses.classical)} and ${sizeOf(target, uses.hybrid)} bytes`;
  process.stdout.write(
    `${name}: classical ${before.toFixed(0)} µs, hybrid ${after.toFixed(0)} µs, ratio ${(after / before).toFixed(1)}; ${sizes}\n`,
  );
}
