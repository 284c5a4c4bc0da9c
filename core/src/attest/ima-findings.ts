// Compares the entries of an IMA log with IMA policies (spec/ima-policy.md, "Comparing"), from where the last comparison ended.
import { toHex } from '../bytes.ts';
import type { ImaEntry } from './ima-log.ts';
import type { MatchBudget } from './ima-path-pattern.ts';
import type { OpenedImaPolicy } from './ima-policy.ts';
import { type ImaSignature, parseImaSignature } from './ima-signature.ts';

/** A verifier and its operator read the first ones; the number says how many there are. */
export const IMA_FINDINGS_MAX = 8;
const PATH_SHOWN_MAX = 160;
// For one piece of a log, so that a device cannot keep a verifier busy.
const SIGNATURES_MAX = 4_096;
const PATTERN_NODES_MAX = 1_000_000;
// Devices of one kind have the same signed files: each is verified once.
const KNOWN_SIGNATURES_MAX = 200_000;

/** What a policy does not accept in a log so far. */
export interface ImaFindings {
  readonly refused: number;
  /** The first ones, for people. */
  readonly first: readonly string[];
}

const nothingFound: ImaFindings = { refused: 0, first: [] };

export class ImaPolicies {
  readonly list: readonly OpenedImaPolicy[];
  readonly #verified = new Set<string>();

  constructor(list: readonly OpenedImaPolicy[]) {
    this.list = list;
  }

  /** By policy, in the order of the list. `before` is what was found in the entries before these; left out: these are the first. */
  judge(entries: readonly ImaEntry[], before?: readonly ImaFindings[]): readonly ImaFindings[] {
    const budget = { nodes: { left: PATTERN_NODES_MAX }, signatures: SIGNATURES_MAX };
    return this.list.map((policy, at) => {
      let { refused, first } = before?.[at] ?? nothingFound;
      for (const entry of entries) {
        const problem = this.#problemOf(policy, entry, budget);
        if (problem === undefined) continue;
        refused += 1;
        if (first.length < IMA_FINDINGS_MAX)
          first = [...first, `IMA entry ${entry.index}, ${shown(entry)}: ${problem}`];
      }
      return { refused, first };
    });
  }

  #problemOf(policy: OpenedImaPolicy, entry: ImaEntry, budget: Budget): string | undefined {
    const { fileName: path, violation, buffer, fileDigest } = entry;
    if (path === BOOT_AGGREGATE) return entry.index === 0 ? undefined : 'the boot aggregate is the first entry only';
    const digest = `${fileDigest.algorithm}:${toHex(fileDigest.digest)}`;
    if (buffer !== undefined && buffer.length > 0) return bufferProblem(policy, path, digest);
    if (!violation && policy.files.get(path)?.includes(digest) === true) return undefined;
    const isSigned = !violation && entry.signature !== undefined && entry.signature.length > 0;
    const signatureProblem = isSigned ? this.#signatureProblem(policy, entry, budget) : 'it is not listed';
    if (isSigned && signatureProblem === undefined) return undefined;
    if (policy.excludes.matches(path, budget.nodes)) return undefined;
    if (violation) return 'it was changed while it was measured (a violation)';
    if (policy.files.has(path)) return `its digest ${digest} is not a listed one`;
    return signatureProblem;
  }

  #signatureProblem(policy: OpenedImaPolicy, { signature, fileDigest }: ImaEntry, budget: Budget): string | undefined {
    const parsed = signature === undefined ? undefined : parseImaSignature(signature);
    if (parsed === undefined) return 'it is not listed, and its signature is not of version 2';
    if (parsed.algorithm !== fileDigest.algorithm) return 'it is not listed, and its signature is over another hash';
    const keys = policy.keys.filter(({ keyId }) => keyId === parsed.keyId);
    if (keys.length === 0)
      return `it is not listed, and it is signed by the key ${parsed.keyId}, which the policy does not have`;
    const isRight = keys.some((key) => this.#verify(key, parsed, fileDigest.digest, budget));
    if (isRight) return undefined;
    if (budget.signatures <= 0) return `more than ${SIGNATURES_MAX} signatures at once are not verified`;
    return `it is not listed, and its signature by the key ${parsed.keyId} is not over its digest`;
  }

  #verify(key: OpenedImaPolicy['keys'][number], parsed: ImaSignature, digest: Uint8Array, budget: Budget): boolean {
    const known = `${key.fingerprint} ${toHex(digest)} ${toHex(parsed.signature)}`;
    if (this.#verified.has(known)) return true;
    if (budget.signatures <= 0) return false;
    budget.signatures -= 1;
    if (!key.verify(parsed, digest)) return false;
    if (this.#verified.size >= KNOWN_SIGNATURES_MAX) this.#verified.clear();
    this.#verified.add(known);
    return true;
  }
}

interface Budget {
  readonly nodes: MatchBudget;
  signatures: number;
}

/** A hash over the PCRs of the boot: the quote itself says more about them. */
const BOOT_AGGREGATE = 'boot_aggregate';
const EVERY_BUFFER = '*';

function bufferProblem({ buffers, ignoredBuffers }: OpenedImaPolicy, name: string, digest: string): string | undefined {
  if (ignoredBuffers.has(name) || ignoredBuffers.has(EVERY_BUFFER)) return undefined;
  const listed = buffers.get(name);
  if (listed === undefined) return 'a measured buffer that is not listed';
  return listed.includes(digest) ? undefined : `a measured buffer, and its digest ${digest} is not a listed one`;
}

function shown({ fileName }: ImaEntry): string {
  return JSON.stringify(fileName.slice(0, PATH_SHOWN_MAX));
}
