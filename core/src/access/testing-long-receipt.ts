// For tests: a release with its evidence, of a device whose TPM is a key in memory and whose maker has a root and an intermediate.
import { createPublicKey } from 'node:crypto';
import { parseEventLog } from '../attest/event-log.ts';
import type { TpmEvidence } from '../attest/evidence.ts';
import { qualifyingData } from '../attest/qualifying-data.ts';
import { pcrValue, replayEventLog } from '../attest/replay.ts';
import { cryptoAgileLog, fixedKey, testAttester, testPcrs, testQuote, uefiBoot } from '../attest/testing.ts';
import { toHex } from '../bytes.ts';
import { indexCertificates } from '../identity/certificate-index.ts';
import { encodeSpki } from '../identity/public-key.ts';
import { testEndorsement } from '../identity/testing-endorsement.ts';
import { testIssuing, testRoot } from '../identity/testing-roots.ts';
import { pcrDigest } from '../tpm/pcr-selection.ts';
import { encodeSizedPublic } from '../tpm/public-area.ts';
import type { MakerRoots } from './evidence-origin.ts';
import type { LongReceiptContent } from './long-receipt.ts';
import { encodeReceipt } from './receipt.ts';
import { type EvidenceOrigin, releaseEvidenceOf } from './release-evidence.ts';
import { type ReceiptChanges, releasedAtMs, testReceiptParts } from './testing-receipt.ts';

const year = 365 * 86_400;
const period = { notBeforeSeconds: releasedAtMs / 1_000 - year, notAfterSeconds: releasedAtMs / 1_000 + year };
const nonce = Buffer.alloc(32, 9);
const testExporter = new Uint8Array(32).fill(3);

const testAttestationKey = testAttester(fixedKey(71));
const root = await testRoot(period, 'Maker root');
const intermediate = await testIssuing(root, period);
const endorsementSpki = encodeSpki(createPublicKey(fixedKey(72)));
const testEndorsementCertificate = await testEndorsement(endorsementSpki, intermediate, period);

export const testOrigin: EvidenceOrigin = {
  kind: 'tpm',
  attestationKey: encodeSizedPublic(testAttestationKey.publicArea),
  certificates: [testEndorsementCertificate.der, intermediate.certificate.der],
};

/** Of the maker whose root is trusted here. */
export const testMakers: MakerRoots = {
  tpm: { anchors: indexCertificates([root.certificate]), intermediates: indexCertificates([]) },
  dice: { anchors: indexCertificates([]), intermediates: indexCertificates([]) },
};

const eventLog = cryptoAgileLog(uefiBoot);
const replayed = replayEventLog(parseEventLog(eventLog), 'sha256');
const valueOf = (pcr: number) => pcrValue(replayed, pcr);

/** The boot of tests, quoted for one release. */
export function testRelease(data = qualifyingData('release', nonce, testExporter)): TpmEvidence {
  const quoted = { qualifyingData: data, pcrs: testPcrs, pcrValue: valueOf, resetCount: 4 };
  return { kind: 'tpm', ...testQuote(testAttestationKey, quoted), eventLog };
}

/** What an honest hub's attestation result says of that boot. */
const testBootResult = { nonce, pcrs: testPcrs, pcrDigest: toHex(pcrDigest(testPcrs.map(valueOf))) };

/** The parts of a long receipt; `changes` are made before the receipt in it is signed and logged. */
export async function testLongReceipt(
  changes: ReceiptChanges = {},
  evidence: TpmEvidence = testRelease(),
  origin: EvidenceOrigin = testOrigin,
): Promise<LongReceiptContent> {
  const named = releaseEvidenceOf(evidence, origin);
  const parts = await testReceiptParts({
    ...changes,
    release: { ...(named === undefined ? {} : { evidence: named }), ...changes.release },
    result: { ...testBootResult, ...changes.result },
  });
  const { manifest, modelSignature } = parts;
  const model = { manifest, modelSignature };
  return { receipt: encodeReceipt(parts), evidence, exporter: testExporter, origin, model };
}
