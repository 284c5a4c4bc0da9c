// A device that lost files of its state asks its hub what it remembers (spec/agent.md, "A lost file"), with evidence of its root of trust. Where it
// still has its witness key, it takes only what that key signed, and never less than its own receipts show. Until the hub has answered, it follows
// no log and opens no model.
import { evidenceDocument } from '@edgekeep/core/attest/evidence';
import { stateRecoveryQualifyingData } from '@edgekeep/core/attest/state-recovery-subject';
import { seenByReceipt } from '@edgekeep/core/access/receipt';
import { cosignatureBy } from '@edgekeep/core/audit/cosignature';
import { encodeVerifierKey, type NoteSigner, parseNote, verifierKeyOf } from '@edgekeep/core/audit/note';
import { utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { compareVersions } from '@edgekeep/core/model/version-order';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { identityKeys } from '@edgekeep/wire/api/device';
import { stateRecoveryResponse } from '@edgekeep/wire/api/state-recovery';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import type { Prover } from './attest/attest.ts';
import { AgentError } from './error.ts';
import { type AgentEvent, type Emit, failureEvent } from './event.ts';
import { type Answer, postToHub } from './hub-api.ts';
import type { KeptState } from './kept-state.ts';
import type { HighestVersions } from './model/versions.ts';
import type { StateFolder } from './state-folder.ts';
import type { Challenge, HubLink } from './hub/connection.ts';
import { identityDocument } from './hub/identity.ts';
import type { Witness } from './hub/witness.ts';
import type { WitnessKeys } from './hub/witness-key.ts';

export interface StateRecoveryDependencies {
  readonly deviceId: string;
  /** The origin of the log that this device follows. */
  readonly hub: string;
  readonly rootOfTrust: Pick<RootOfTrust, 'describe'>;
  readonly prover: Pick<Prover, 'evidenceOver'>;
  readonly kept: KeptState;
  readonly witness: Witness;
  readonly witnessKeys: WitnessKeys;
  readonly versions: HighestVersions;
  readonly folder: Pick<StateFolder, 'checkpoint' | 'versions' | 'receipts'>;
  readonly emit: Emit;
}

type Remembered = z.infer<typeof stateRecoveryResponse>;

export class StateRecovery {
  readonly #dependencies: StateRecoveryDependencies;
  /** What was reported last: each check-in tries again. */
  #said = '';

  constructor(dependencies: StateRecoveryDependencies) {
    this.#dependencies = dependencies;
  }

  /** The hub knows this device, and here is a state folder of a device that has not enrolled. */
  loseAll(): void {
    const { kept, witness, versions } = this.#dependencies;
    kept.lose('enrolled', 'missing', 'the hub knows this device already, and its state folder does not');
    witness.lose();
    versions.lose();
  }

  /** Costs nothing where nothing was lost. A failure is reported, and the next check-in tries again. */
  async settle(link: Pick<HubLink, 'withChallenge'>): Promise<void> {
    const { kept } = this.#dependencies;
    if (kept.lost.length === 0) return;
    try {
      const answer = await link.withChallenge((challenge) => this.#ask(challenge));
      if (answer.kind === 'ok') return await this.#take(answer.value);
      const { code, message, reasons } = answer;
      // A hub of the version before remembers nothing. What is missing counts as before; what is damaged stops this device until it is upgraded.
      const isBefore = code === 'not-found' && kept.lost.every(({ how }) => how === 'missing');
      if (isBefore) return await this.#take({ checkpoint: null, versions: {} });
      this.#report({ kind: 'refused', step: 'state-recovery', code, message, reasons });
    } catch (error) {
      this.#report(failureEvent('state-recovery', error));
    }
  }

  #report(event: AgentEvent): void {
    const text = JSON.stringify(event);
    if (text !== this.#said) this.#dependencies.emit(event);
    this.#said = text;
  }

  async #ask({ nonce, pcrs, exporter, send, known }: Challenge): Promise<Answer<Remembered>> {
    const { deviceId, hub, rootOfTrust, prover, kept, witnessKeys } = this.#dependencies;
    const { lost } = kept;
    const witnessKey = verifierTextOf(witnessKeys.signer);
    const keys = identityKeys(identityDocument(await rootOfTrust.describe()));
    const subject = { hub, deviceId, keys, lost, witnessKey, exporter };
    const evidence = await prover.evidenceOver(stateRecoveryQualifyingData(nonce, subject), pcrs, { send, known });
    const body = { lost, witnessKey, evidence: evidenceDocument(evidence) };
    return postToHub(send, '/v1/state-recovery', body, stateRecoveryResponse);
  }

  async #take({ checkpoint, versions: remembered }: Remembered): Promise<void> {
    const { kept, witness, witnessKeys, versions, folder, emit } = this.#dependencies;
    const files = kept.lost.map(({ file, how }) => `${file}: ${how}`);
    const receipts = await seenByReceipts(folder.receipts);
    const seen = checkpoint === null ? [] : [this.#own(utf8(checkpoint))];
    // The key first: a device that ends here begins again, with another key.
    const written = [...(await witnessKeys.save())];
    await versions.recover(remembered);
    await versions.recover(receipts.versions);
    await witness.recover([...seen, ...receipts.checkpoints.filter((each) => witness.isOfKnownLog(each))]);
    if (witness.size > 0) written.push(folder.checkpoint);
    await kept.settle([...written, folder.versions]);
    emit({ kind: 'state-recovered', files, logSize: witness.size, models: versions.count });
  }

  // A device that still has its key has signed what it saw. One that lost the key as well has nothing to compare with (SECURITY.md).
  #own(checkpoint: Uint8Array): Uint8Array {
    const { kept, witnessKeys } = this.#dependencies;
    if (kept.isLost('witness-key') || kept.isLost('enrolled')) return checkpoint;
    const key = verifierKeyOf(witnessKeys.signer, 'cosignature-v1');
    const cosignature = cosignatureBy(parseNote(checkpoint), key);
    if (cosignature !== undefined && cosignature !== false) return checkpoint;
    throw new AgentError('hub-answer-invalid', 'the hub names a checkpoint that this device did not cosign');
  }
}

function verifierTextOf(signer: NoteSigner): string {
  return encodeVerifierKey(verifierKeyOf(signer, 'cosignature-v1'));
}

interface SeenByReceipts {
  readonly checkpoints: readonly Uint8Array[];
  readonly versions: Readonly<Record<string, string>>;
}

/** The receipts of this device's own releases. A damaged one shows nothing. */
async function seenByReceipts(folder: string): Promise<SeenByReceipts> {
  const checkpoints: Uint8Array[] = [];
  const versions = new Map<string, string>();
  for (const name of await orIfMissing(readdir(folder), [])) {
    if (!name.endsWith('.json')) continue;
    const seen = seenOrNothing(await readFile(join(folder, name)));
    if (seen === undefined) continue;
    checkpoints.push(seen.checkpoint);
    const known = versions.get(seen.model);
    if (known === undefined || compareVersions(seen.version, known) > 0) versions.set(seen.model, seen.version);
  }
  return { checkpoints, versions: Object.fromEntries(versions) };
}

function seenOrNothing(receipt: Uint8Array): ReturnType<typeof seenByReceipt> | undefined {
  try {
    return seenByReceipt(receipt);
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}
