// What the inventory of cryptography says about one algorithm (scripts/cbom/table.ts).

/** Kinds and functions are words of CycloneDX 1.6, `cryptoProperties.algorithmProperties`. */
export interface Algorithm {
  readonly name: string;
  /** How the code writes it: in a text, in lower case. */
  readonly words: readonly string[];
  /** Functions of node:crypto that are this algorithm. */
  readonly calls?: readonly string[];
  readonly primitive:
    | 'signature'
    | 'hash'
    | 'ae'
    | 'kem'
    | 'key-agree'
    | 'mac'
    | 'kdf'
    | 'pke'
    | 'block-cipher'
    | 'drbg'
    | 'other';
  readonly functions: readonly CryptoFunction[];
  readonly parameters?: string;
  readonly curve?: string;
  readonly oid?: string;
  readonly classicalBits: number;
  /** NIST's category of security against a quantum computer; 0: it falls to one. */
  readonly quantumLevel: 0 | 1 | 2 | 3 | 4 | 5;
  readonly uses: string;
  readonly breaks: string;
  readonly goesTo: string;
}

type CryptoFunction =
  | 'generate'
  | 'keygen'
  | 'encrypt'
  | 'decrypt'
  | 'digest'
  | 'tag'
  | 'keyderive'
  | 'sign'
  | 'verify'
  | 'encapsulate'
  | 'decapsulate'
  | 'other';
