// What a DICE device signs (spec/dice.md, "Fields"): the statement of a device without a TPM, and the key to which model keys are sealed.
import { z } from 'zod';
import { parseBase64url, toBase64url, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeP256Point, parseP256Point } from '../identity/p256-point.ts';
import { encodeCanonicalJson, parseCanonicalJson } from '../json.ts';
import { type SoftwareStatement, softwareStatementOf, softwareStatementSchema } from './evidence.ts';

export interface DiceStatement extends SoftwareStatement {
  /** P-256 HPKE public key, an uncompressed point of 65 bytes. */
  readonly sealingKey: Uint8Array;
}

const schema = softwareStatementSchema.extend({ sealingKey: z.string().length(87) });

export function encodeDiceStatement({ qualifyingData, pcrs, sealingKey }: DiceStatement): Uint8Array {
  const values = Object.fromEntries([...pcrs].map(([pcr, value]) => [String(pcr), toHex(value)]));
  return encodeCanonicalJson({
    qualifyingData: toHex(qualifyingData),
    pcrs: values,
    sealingKey: toBase64url(sealingKey),
  });
}

/** Parses a statement whose signature was verified already. Throws `evidence-invalid` also for a sealing key that is no point of P-256. */
export function parseDiceStatement(bytes: Uint8Array): DiceStatement {
  const { sealingKey: text, ...document } = parseCanonicalJson(bytes, schema, 'DICE statement', 'evidence-invalid');
  try {
    const sealingKey = encodeP256Point(parseP256Point(parseBase64url(text, 'sealing key')));
    return { ...softwareStatementOf(document), sealingKey };
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new CoreError('evidence-invalid', `DICE statement: sealing key: ${cause.message}`, { cause });
  }
}
