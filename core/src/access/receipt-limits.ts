// What a receipt does not prove, in sentences for people: beside every verdict, so that nobody reads more into it (spec/receipt.md, "What a
// receipt does not prove").
import type { LongReceiptSummary } from './long-receipt.ts';
import type { ReceiptSummary } from './receipt.ts';

/** The sentences that apply to this receipt. */
export function notProven(summary: ReceiptSummary | LongReceiptSummary): readonly string[] {
  const { release, log } = summary;
  const sentences = [
    'that no other device got this key: a hub has it, and can wrap it for anybody without an entry in its log',
    'that the device kept the key to itself, or still has it',
  ];
  if (release.releasePolicy?.group !== undefined) {
    sentences.push(
      `that the device belongs in the group ${release.releasePolicy.group}: operators of the hub decide that, and the log has each change`,
    );
  }
  if (release.releasePolicy?.maker !== undefined && !showsAuthorities(summary)) {
    sentences.push('that the maker which the publisher names made this hardware: the hub says so');
  }
  if (summary.weaker !== undefined) {
    sentences.push(`that independent witnesses saw the entry: ${summary.weaker}`);
  } else if (log.cosignatures.length === 0) {
    sentences.push('that anybody but the hub saw the entry: no witness was required, and none cosigned');
  }
  if (!('evidence' in summary)) {
    const where = release.evidence === undefined ? 'and its entry names no evidence' : 'the long form has the evidence';
    sentences.push(`what the device booted: the hub signed that it appraised evidence, ${where}`);
    return sentences;
  }
  const { origin } = summary.evidence;
  if (origin.kind === 'not-asked') sentences.push('that a maker made this hardware: no makers’ roots were given');
  if (release.device.tier === 'tpm') {
    sentences.push(
      'that attestation key and endorsement key are in one TPM: the hub tested that when the device enrolled, and a TPM gives no proof of it for others',
    );
  }
  if (release.device.tier === 'software' || release.device.tier === 'secure-element') {
    sentences.push(
      'that the stated boot happened: software measured it, and software signs what an attacker in it wants',
    );
  }
  return sentences;
}

/** The certificates show who certified the device. */
function showsAuthorities(summary: ReceiptSummary | LongReceiptSummary): boolean {
  if (!('evidence' in summary) || summary.evidence.origin.kind !== 'verified') return false;
  return summary.evidence.origin.maker?.authorities !== undefined;
}
