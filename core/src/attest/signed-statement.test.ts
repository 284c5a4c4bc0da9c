// The context strings of statements (spec/evidence.md, "Statements"): a signature of a device's key counts for the one thing it was made for.
import assert from 'node:assert/strict';
import { createPublicKey, sign } from 'node:crypto';
import { test } from 'node:test';
import { utf8 } from '../bytes.ts';
import { appraiseEvidence } from './appraise.ts';
import { encodeEventLogHeader } from './event-log.ts';
import { encodeEvidence, encodeSoftwareStatement, parseEvidence, signedStatement } from './evidence.ts';
import { fixedKey } from './testing.ts';

const privateKey = fixedKey(3);
const qualified = new Uint8Array(32).fill(1);
const statement = encodeSoftwareStatement({ qualifyingData: qualified, pcrs: new Map([[0, new Uint8Array(32)]]) });

function codes(signed: Uint8Array, type?: 'edgekeep-evidence/v1' | 'edgekeep-evidence/v2'): readonly string[] {
  const signature = sign('sha256', signed, privateKey);
  const evidence = { kind: 'software', statement, signature, eventLog: encodeEventLogHeader() } as const;
  const read = parseEvidence(encodeEvidence(type === undefined ? evidence : { ...evidence, type }));
  const { reasons } = appraiseEvidence({
    evidence: read,
    key: { publicKey: createPublicKey(privateKey) },
    tier: 'software',
    expectedQualifyingData: qualified,
    pcrSelection: [0],
    referenceValues: [],
  });
  return reasons.map(({ code }) => code);
}

// SECURITY.md: DEV-71
test('a statement counts with its own context string and no other', () => {
  const own = signedStatement({ kind: 'software', statement });
  assert.ok(!codes(own).includes('signature-invalid'));
  for (const other of [
    statement,
    signedStatement({ kind: 'dice', statement }),
    Buffer.concat([utf8('edgekeep-idevid-v2\0'), statement]),
    own.subarray(1),
  ])
    assert.ok(codes(other).includes('signature-invalid'), Buffer.from(other.subarray(0, 24)).toString());
});

test('a statement of the version before is signed alone, and says so by its version', () => {
  assert.ok(!codes(statement, 'edgekeep-evidence/v1').includes('signature-invalid'));
  const own = signedStatement({ kind: 'software', statement });
  assert.ok(codes(own, 'edgekeep-evidence/v1').includes('signature-invalid'));
  assert.ok(codes(statement, 'edgekeep-evidence/v2').includes('signature-invalid'));
});
