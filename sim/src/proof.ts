// The end of the story: the log has what happened, the devices cosign the log, and the receipt of a key release verifies with public keys
// alone.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Operator } from '@edgekeep/cli/operator';
import { type ReceiptVerdict, verifyReceipt } from '@edgekeep/core/access/receipt';
import { parseTrust } from '@edgekeep/core/access/trust';
import { parseBase64url } from '@edgekeep/core/bytes';
import { receiptResponse } from '@edgekeep/wire/api/access';

const ATTEMPTS_MAX = 60;
const pauseMilliseconds = 500;

export interface Proof {
  readonly verdict: ReceiptVerdict;
  readonly receiptFile: string;
  readonly trustFile: string;
}

/** Fetches the receipt of a lease until enough devices have cosigned, and verifies it as an outsider would. */
export async function proveRelease(operator: Operator, lease: string, folder: string): Promise<Proof> {
  const receiptFile = join(folder, 'receipt.json');
  const trustFile = join(folder, 'trust.json');
  const trust = await operator.getBytes('/v1/trust');
  await writeFile(trustFile, trust);
  for (let attempt = 1; ; attempt += 1) {
    const { receipt } = await operator.get(`/v1/receipts/${lease}`, receiptResponse);
    const bytes = parseBase64url(receipt, 'receipt');
    const verdict = verifyReceipt(bytes, parseTrust(trust));
    // Devices cosign at their next check-in, two seconds apart in the demo.
    if (verdict.kind === 'verified' || attempt === ATTEMPTS_MAX) {
      await writeFile(receiptFile, bytes);
      return { verdict, receiptFile, trustFile };
    }
    await delay(pauseMilliseconds);
  }
}
