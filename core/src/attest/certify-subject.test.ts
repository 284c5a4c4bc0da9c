import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { toHex } from '../bytes.ts';
import { certifyQualifyingData, type CertifySubject } from './certify-subject.ts';
import { qualifyingData } from './qualifying-data.ts';

const nonce = new Uint8Array(32).fill(7);
const subject: CertifySubject = {
  hub: 'hub.plant.example/log',
  deviceId: 'press-7',
  keys: { kind: 'software', signingKey: 'AA', encryptionKey: 'BB' },
  witnessKey: 'press-7+1f2e3d4c+BAbc',
  operationalSpki: Uint8Array.of(1, 2, 3),
  exporter: new Uint8Array(32).fill(9),
};

test('evidence for a key covers SHA-256 over the canonical document of spec/evidence.md', () => {
  const document =
    '{"deviceId":"press-7","exporter":"CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk","hub":"hub.plant.example/log",' +
    '"keys":{"encryptionKey":"BB","kind":"software","signingKey":"AA"},"operationalKey":"AQID",' +
    '"type":"edgekeep-certify/v2","witnessKey":"press-7+1f2e3d4c+BAbc"}';
  const bound = createHash('sha256').update(document).digest();
  assert.deepEqual(certifyQualifyingData('enroll', nonce, subject), qualifyingData('enroll', nonce, bound));
});

// SECURITY.md: DEV-70
test('each part of the subject, the purpose and the nonce change what evidence covers', () => {
  const changes: readonly Partial<CertifySubject>[] = [
    {},
    { hub: 'hub.other.example/log' },
    { deviceId: 'press-8' },
    { keys: { ...subject.keys, signingKey: 'AB' } },
    { keys: { ...subject.keys, encryptionKey: 'BA' } },
    { witnessKey: 'press-7+1f2e3d4c+BAbd' },
    { witnessKey: undefined },
    { operationalSpki: Uint8Array.of(1, 2, 4) },
    { exporter: new Uint8Array(32).fill(8) },
  ];
  const all = changes.map((change) => certifyQualifyingData('enroll', nonce, { ...subject, ...change }));
  for (const purpose of ['renew', 'recover'] as const) all.push(certifyQualifyingData(purpose, nonce, subject));
  all.push(certifyQualifyingData('enroll', new Uint8Array(32), subject));
  assert.equal(new Set(all.map(toHex)).size, all.length);
});
