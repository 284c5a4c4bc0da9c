// Evidence: what a device sends to prove its identity and its boot (RATS, RFC 9334). Canonical JSON, bytes as base64url. The whole document
// alone proves nothing; the quote or statement inside is signed. Format: spec/evidence.md.
import { z } from 'zod';
import { concat, parseBase64url, parseHex, toBase64url, toHex, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { PATH_LENGTH_MAX } from '../identity/path.ts';
import { encodeCanonicalJson, type Json, parseCanonicalJson } from '../json.ts';
import { EVENT_LOG_BYTES_MAX } from './event-log.ts';
import { IMA_EVIDENCE_BYTES_MAX } from './ima-log.ts';

const SIGNED_BYTES_MAX = 4096; // a quote has about 150 bytes, an RSA-4096 signature 518, a statement of 24 PCRs 1.9 KiB
const DICE_CERTIFICATE_BYTES_MAX = 8192; // those of layers have 1 KiB, of vendors that put a second chain into one 2 KiB
/** Both logs at their limits in base64url, and the rest. */
export const EVIDENCE_BYTES_MAX =
  Math.ceil(((EVENT_LOG_BYTES_MAX + IMA_EVIDENCE_BYTES_MAX) * 4) / 3) + 4 * SIGNED_BYTES_MAX;

export interface TpmEvidence {
  readonly kind: 'tpm';
  /** TPMS_ATTEST. */
  readonly quote: Uint8Array;
  /** TPMT_SIGNATURE over `quote`. */
  readonly signature: Uint8Array;
  readonly eventLog: Uint8Array;
  readonly imaLog?: Uint8Array | undefined;
  /** How many entries of the log precede those in `imaLog`; the verifier has replayed them already. Left out: none. */
  readonly imaLogFrom?: number | undefined;
}

/** Absent: the present version. */
type StatementVersion = (typeof statementTypes)[number] | undefined;

export interface SoftwareEvidence {
  readonly type?: StatementVersion;
  readonly kind: 'software';
  /** The bytes of `encodeSoftwareStatement`. */
  readonly statement: Uint8Array;
  /** ECDSA P-256 with SHA-256 over `signedStatement`, ASN.1 DER. */
  readonly signature: Uint8Array;
  readonly eventLog: Uint8Array;
}

/** The chain says which firmware runs, and certifies the key that signs (spec/dice.md). */
export interface DiceEvidence {
  readonly type?: StatementVersion;
  readonly kind: 'dice';
  /** DER certificates, that of the signing key first. */
  readonly chain: readonly Uint8Array[];
  /** The bytes of `encodeDiceStatement`. */
  readonly statement: Uint8Array;
  /** Under the key of `chain[0]` over `signedStatement`. */
  readonly signature: Uint8Array;
  readonly eventLog: Uint8Array;
}

export type Evidence = TpmEvidence | SoftwareEvidence | DiceEvidence;

/** Bytes in JSON: canonical unpadded base64url of at most `maxBytes` bytes. */
function bytesSchema(maxBytes: number, what: string) {
  return z
    .string()
    .max(Math.ceil((maxBytes * 4) / 3), `${what} is longer than ${maxBytes} bytes`)
    .transform((text): Uint8Array => parseBase64url(text, `evidence ${what}`));
}

/** Of evidence with a quote; of the version before for the other kinds: the signature is over the statement alone. */
export const formerEvidenceType = 'edgekeep-evidence/v1';
export const statementEvidenceType = 'edgekeep-evidence/v2';
const statementTypes = [statementEvidenceType, formerEvidenceType] as const;
const eventLog = bytesSchema(EVENT_LOG_BYTES_MAX, 'eventLog');

const tpmSchema = z.strictObject({
  type: z.literal(formerEvidenceType),
  kind: z.literal('tpm'),
  quote: bytesSchema(SIGNED_BYTES_MAX, 'quote'),
  signature: bytesSchema(SIGNED_BYTES_MAX, 'signature'),
  eventLog,
  imaLog: bytesSchema(IMA_EVIDENCE_BYTES_MAX, 'imaLog').optional(),
  imaLogFrom: z.int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
});

const softwareSchema = z.strictObject({
  type: z.enum(statementTypes),
  kind: z.literal('software'),
  statement: bytesSchema(SIGNED_BYTES_MAX, 'statement'),
  signature: bytesSchema(SIGNED_BYTES_MAX, 'signature'),
  eventLog,
});

const diceSchema = z.strictObject({
  type: z.enum(statementTypes),
  kind: z.literal('dice'),
  chain: z.array(bytesSchema(DICE_CERTIFICATE_BYTES_MAX, 'chain')).min(2).max(PATH_LENGTH_MAX),
  statement: bytesSchema(SIGNED_BYTES_MAX, 'statement'),
  signature: bytesSchema(SIGNED_BYTES_MAX, 'signature'),
  eventLog,
});

/** Schema of the JSON document, for routes; its output has byte arrays. */
export const evidenceSchema = z.discriminatedUnion('kind', [tpmSchema, softwareSchema, diceSchema]);

/** Parses the document's form; nothing in it is verified yet. Throws `evidence-invalid`, `json-not-canonical` or `bytes-too-long`. */
export function parseEvidence(bytes: Uint8Array): Evidence {
  if (bytes.length > EVIDENCE_BYTES_MAX) {
    throw new CoreError('bytes-too-long', `evidence: ${bytes.length} bytes, at most ${EVIDENCE_BYTES_MAX} are allowed`);
  }
  const document = parseCanonicalJson(bytes, evidenceSchema, 'evidence', 'evidence-invalid');
  switch (document.kind) {
    case 'tpm': {
      const { kind, quote, signature, imaLog, imaLogFrom } = document;
      return {
        kind,
        quote,
        signature,
        eventLog: document.eventLog,
        ...(imaLog === undefined ? {} : { imaLog }),
        ...(imaLogFrom === undefined ? {} : { imaLogFrom }),
      };
    }
    case 'software': {
      const { type, kind, statement, signature } = document;
      return { type, kind, statement, signature, eventLog: document.eventLog };
    }
    case 'dice': {
      const { type, kind, chain, statement, signature } = document;
      return { type, kind, chain, statement, signature, eventLog: document.eventLog };
    }
  }
}

export function encodeEvidence(evidence: Evidence): Uint8Array {
  return encodeCanonicalJson(evidenceDocument(evidence));
}

/** Evidence as a part of another JSON document. */
export function evidenceDocument(evidence: Evidence): { readonly [name: string]: Json | undefined } {
  const common = {
    type: evidence.kind === 'tpm' ? formerEvidenceType : (evidence.type ?? statementEvidenceType),
    signature: toBase64url(evidence.signature),
    eventLog: toBase64url(evidence.eventLog),
  };
  switch (evidence.kind) {
    case 'tpm': {
      const imaLog = evidence.imaLog === undefined ? undefined : toBase64url(evidence.imaLog);
      const { imaLogFrom } = evidence;
      return { ...common, kind: 'tpm', quote: toBase64url(evidence.quote), imaLog, imaLogFrom };
    }
    case 'software':
      return { ...common, kind: 'software', statement: toBase64url(evidence.statement) };
    case 'dice': {
      const chain = evidence.chain.map(toBase64url);
      return { ...common, kind: 'dice', chain, statement: toBase64url(evidence.statement) };
    }
  }
}

/** What a device without a TPM signs in place of a quote: the same two facts, under a key that software could have copied. */
export interface SoftwareStatement {
  readonly qualifyingData: Uint8Array;
  /** SHA-256 bank values by PCR. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
}

/**
 * The bytes that are signed: a context string before the statement, so that no signature over a statement is one over anything else. Evidence of
 * the version before has the signature over the statement alone.
 */
export function signedStatement({
  type,
  kind,
  statement,
}: Pick<SoftwareEvidence | DiceEvidence, 'type' | 'kind' | 'statement'>): Uint8Array {
  if (type === formerEvidenceType) return statement;
  return concat(utf8(`edgekeep-${kind}-statement-v2`), Uint8Array.of(0), statement);
}

const digestText = z.string().regex(/^[0-9a-f]{64}$/, '64 lower-case hex digits are expected');
/** The document of a statement; that of a DICE device has one field more. */
export const softwareStatementSchema = z.strictObject({
  qualifyingData: digestText,
  pcrs: z.record(z.string().regex(/^([0-9]|1[0-9]|2[0-3])$/, 'a PCR is a number from 0 to 23'), digestText),
});

export function encodeSoftwareStatement(statement: SoftwareStatement): Uint8Array {
  const pcrs = Object.fromEntries([...statement.pcrs].map(([pcr, value]) => [String(pcr), toHex(value)]));
  return encodeCanonicalJson({ qualifyingData: toHex(statement.qualifyingData), pcrs });
}

/** Parses a statement whose signature was verified already. Returns PCRs in ascending order. */
export function parseSoftwareStatement(bytes: Uint8Array): SoftwareStatement {
  return softwareStatementOf(
    parseCanonicalJson(bytes, softwareStatementSchema, 'software statement', 'evidence-invalid'),
  );
}

export function softwareStatementOf(document: z.infer<typeof softwareStatementSchema>): SoftwareStatement {
  const entries = Object.entries(document.pcrs).map(([pcr, value]): [number, Uint8Array] => [
    Number(pcr),
    parseHex(value, `PCR ${pcr}`),
  ]);
  entries.sort(([a], [b]) => a - b);
  return { qualifyingData: parseHex(document.qualifyingData, 'qualifying data'), pcrs: new Map(entries) };
}
