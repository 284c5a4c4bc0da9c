// `edgekeep receipt get`: the receipt of a key release, at once or when its witnesses have cosigned.
import { verifyLongReceipt } from '@edgekeep/core/access/long-receipt';
import { parseTrust } from '@edgekeep/core/access/trust';
import { parseBase64url } from '@edgekeep/core/bytes';
import { receiptResponse, releaseList } from '@edgekeep/wire/api/access';
import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type Command, exitCodes, type Outcome } from '../command.ts';
import { openOperator, type Operator, operatorHelp, operatorOption } from '../operator.ts';

const WAIT_MILLISECONDS_MAX = 5 * 60_000;
const pauseMilliseconds = 3_000;

export const command: Command = {
  usage: 'receipt get [LEASE] --out FILE [--long] [--wait]',
  help: `
LEASE is a lease id (\`edgekeep device show\`); without it the newest release is taken. Devices cosign the log at their check-ins, so the receipt of the last minute may lack cosignatures.

--out       the receipt file to write
--long      the long form: with the evidence, which verifies up to the maker of the device
--wait      waits, five minutes at most, until enough witnesses have cosigned; where the fleet cannot have enough, the receipt says so at once
${operatorHelp}`,
  positionals: { min: 0, max: 1 },
  options: { ...operatorOption, out: { type: 'string' }, long: { type: 'boolean' }, wait: { type: 'boolean' } },
  async run(args): Promise<Outcome> {
    const operator = await openOperator(args);
    const out = args.required('out');
    const lease = args.positionals[0] ?? (await operator.get('/v1/leases?limit=1', releaseList)).leases[0]?.id;
    if (lease === undefined) return { exitCode: exitCodes.refused, value: null, text: 'no key was released yet' };
    const long = args.flag('long');
    const { bytes, missing } = await (args.flag('wait') ? whole(operator, lease, long) : now(operator, lease, long));
    await writeFile(out, bytes);
    const written = `wrote ${out} (${bytes.length} bytes), the ${long ? 'long form of the ' : ''}receipt of lease ${lease}`;
    return {
      exitCode: missing === undefined ? exitCodes.ok : exitCodes.refused,
      value: { lease, file: out, ...(missing === undefined ? {} : { missing }) },
      text: missing === undefined ? written : `${written}\nnot whole after five minutes: ${missing}`,
    };
  },
};

interface Fetched {
  readonly bytes: Uint8Array;
  /** Why it is not a whole receipt yet; undefined for one that is, or that was not verified. */
  readonly missing: string | undefined;
}

async function now(operator: Operator, lease: string, long: boolean): Promise<Fetched> {
  const path = `/v1/receipts/${encodeURIComponent(lease)}`;
  const bytes = long
    ? await operator.getBytes(`${path}/long`)
    : parseBase64url((await operator.get(path, receiptResponse)).receipt, 'receipt');
  return { bytes, missing: undefined };
}

async function whole(operator: Operator, lease: string, long: boolean): Promise<Fetched> {
  const until = performance.now() + WAIT_MILLISECONDS_MAX;
  let said: string | undefined;
  for (;;) {
    // The long form has all that is verified, also where the short one names the manifest by its digest.
    const { bytes } = await now(operator, lease, true);
    const missing = missingIn(bytes, await operator.getBytes('/v1/trust'));
    if (missing === undefined || performance.now() > until)
      return { bytes: long ? bytes : (await now(operator, lease, false)).bytes, missing };
    if (missing !== said) process.stderr.write(`waiting: ${missing}\n`);
    said = missing;
    await delay(pauseMilliseconds);
  }
}

// By the hub's own trust file: this says when the receipt is complete, not that a stranger has to believe it.
function missingIn(bytes: Uint8Array, trustFile: Uint8Array): string | undefined {
  const verdict = verifyLongReceipt(bytes, parseTrust(trustFile));
  return verdict.kind === 'refused' ? verdict.reasons.join('; ') : undefined;
}
