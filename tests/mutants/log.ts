// Mutants of the audit log and its witnesses.
import type { Mutant } from './mutant.ts';

const follower = 'core/src/audit/follower.ts';
const witness = 'hub/src/audit/witness.ts';

export const logMutants: readonly Mutant[] = [
  {
    id: 'log/consistency',
    file: follower,
    find: "if (verifyConsistency(claim)) return { kind: 'consistent', checkpoint, text: note.text };",
    replace:
      "if (verifyConsistency(claim) || claim.proof.length > 0) return { kind: 'consistent', checkpoint, text: note.text };",
    breaks: 'a witness cosigns a log that continues what it saw',
  },
  {
    id: 'log/same-size-fork',
    file: follower,
    find: '!equalBytes(checkpoint.root, last.checkpoint.root)) {',
    replace: 'checkpoint.root.length !== last.checkpoint.root.length) {',
    breaks: 'two roots of one size are a fork',
  },
  {
    id: 'log/set-back',
    file: follower,
    find: 'if (request.oldSize !== lastSize) {',
    replace: 'if (request.oldSize > lastSize) {',
    breaks: 'a log that became smaller than what a witness saw is not cosigned',
  },
  {
    id: 'log/quorum',
    file: 'core/src/audit/quorum.ts',
    find: 'if (rule === undefined) return cosignatures.length >= quorum;',
    replace: 'if (rule === undefined) return cosignatures.length >= quorum - 1;',
    breaks: 'a checkpoint counts with its quorum',
  },
  {
    id: 'log/one-key-two-witnesses',
    file: 'core/src/audit/quorum.ts',
    find: 'if (twin !== undefined) throw',
    replace: 'if (twin === key) throw',
    breaks: 'one key is one witness',
  },
  {
    id: 'log/false-cosignature',
    file: 'core/src/audit/cosignature.ts',
    find: 'if (times.length < classical.length) return false;',
    replace: 'if (times.length < classical.length) return undefined;',
    breaks: 'a false cosignature spoils the checkpoint',
  },
  {
    id: 'log/second-signature-stripped',
    file: 'core/src/audit/checkpoint.ts',
    find: 'return times.length > 0 ? undefined',
    replace: 'return times.length >= 0 ? undefined',
    breaks: 'a checkpoint without the log’s second signature is refused by a reader that knows the key',
  },
  {
    id: 'log/second-cosignature-stripped',
    file: 'core/src/audit/cosignature.ts',
    find: 'times.filter((time) => both.has(time))',
    replace: 'times.filter((time) => both.has(time) || both.size === 0)',
    breaks: 'a witness with two keys counts with both cosignatures',
  },
  {
    id: 'log/model-second-signature-stripped',
    file: 'core/src/model/signature/verify.ts',
    find: '  if (postQuantum === undefined) return undefined;',
    replace: '  if (postQuantum === undefined || envelope.postQuantum === undefined) return undefined;',
    breaks: 'what one key of a publisher with two signed alone is refused',
  },
  {
    id: 'log/fork-proof',
    file: 'core/src/audit/fork-proof.ts',
    find: "return equalBytes(first.root, second.root) ? 'both checkpoints name the same root' : undefined;",
    replace: 'return undefined;',
    breaks: 'two times the same checkpoint is no proof of a fork',
  },
  {
    id: 'log/witness-quorum',
    file: 'hub/src/audit/witness-policy.ts',
    find: 'return isMetBy(policy, independentIn(policy, cosigned) >= policy.quorum, missing);',
    replace: 'return isMetBy(policy, independentIn(policy, cosigned) > 0, missing);',
    breaks: 'a checkpoint is shown as witnessed with its quorum',
  },
  {
    id: 'log/witness-future',
    file: witness,
    find: 'if (cosignature.seconds > nowSeconds + CLOCK_SKEW_SECONDS_MAX) {',
    replace: 'if (cosignature.seconds > nowSeconds + CLOCK_SKEW_SECONDS_MAX * 1_000) {',
    breaks: 'a cosignature from the future is refused',
  },
  {
    id: 'log/witness-removed',
    file: witness,
    find: '    this.#witnesses.delete(deviceId);\n    this.#forget(deviceId);',
    replace: '    this.#forget(deviceId);',
    breaks: 'a quarantined device vouches for nothing',
  },
  {
    id: 'log/receipt-covers',
    file: witness,
    find: 'const covering = this.#rounds().filter(({ size }) => index < size);',
    replace: 'const covering = this.#rounds().filter(({ size }) => index <= size);',
    breaks: 'an entry is proven under a checkpoint that covers it',
  },
  {
    id: 'log/entry-salted',
    file: 'hub/src/audit/append.ts',
    find: 'return encodeAuditEntry(saltedEntry(event, randomBytes(auditSaltLength)));',
    replace: 'return encodeAuditEntry(saltedEntry(event, randomBytes(auditSaltLength).fill(0)));',
    breaks: 'the entry of a leaf hash cannot be guessed',
  },
];
