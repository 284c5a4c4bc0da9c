// Builds release receipts from stored data: the logged entry, the attestation result, the signed model, and the log's proof under the best
// available checkpoint. That is a witnessed one when it covers the entry, else the newest.
import { encodeLongReceipt } from '@edgekeep/core/access/long-receipt';
import { encodeReceipt } from '@edgekeep/core/access/receipt';
import { encodeTlogProof } from '@edgekeep/core/audit/proof';
import type { EvidenceKeeper } from '../attest/kept-evidence.ts';
import type { AuditLog } from '../audit/log.ts';
import type { CosignatureCollector } from '../audit/witness.ts';
import { HubError } from '../common/error.ts';
import { releasePolicyOf } from '../model/release-policy.ts';
import type { Database } from '../store/database.ts';
import type { ModelReleaseRow } from '../store/tables/model.ts';
import type { LeaseRow } from '../store/tables/revocation.ts';

/** A release as the store has it, durable and logged. */
export interface RecordedRelease {
  readonly logIndex: number;
  /** The bytes of its audit entry. */
  readonly entry: Uint8Array;
  /** Whether the entry names the evidence; left out: the entry says so. */
  readonly namesEvidence?: boolean;
  /** The device that got the key. */
  readonly receiver: string;
  readonly attestationResult: string;
  readonly model: Pick<ModelReleaseRow, 'name' | 'version' | 'manifest' | 'manifest_digest' | 'signature'>;
}

export class Receipts {
  readonly #database: Database;
  readonly #log: AuditLog;
  readonly #witnesses: CosignatureCollector;

  constructor(database: Database, log: AuditLog, witnesses: CosignatureCollector) {
    this.#database = database;
    this.#log = log;
    this.#witnesses = witnesses;
  }

  /** The receipt of a release that was just recorded. Waits until its entry is in the tree. */
  async forRelease(release: RecordedRelease): Promise<Uint8Array> {
    await this.#log.integrated(release.logIndex);
    return this.#assemble(release);
  }

  /** The receipt of a lease; `deviceId` restricts the search to the device's own leases. */
  async forLease(leaseId: string, deviceId?: string): Promise<Uint8Array> {
    return this.#assemble(await this.#ofLease(leaseId, deviceId));
  }

  /** The long form. Throws `evidence-not-kept` where only the short one is left. */
  async longForLease(leaseId: string, keeper: Pick<EvidenceKeeper, 'of'>): Promise<Uint8Array> {
    const recorded = await this.#ofLease(leaseId);
    const kept = await keeper.of(leaseId);
    const model = { manifest: recorded.model.manifest, modelSignature: Buffer.from(recorded.model.signature) };
    return encodeLongReceipt({ receipt: await this.#assemble(recorded), model, ...kept });
  }

  async #ofLease(leaseId: string, deviceId?: string): Promise<RecordedRelease> {
    const lease = await this.#database.read
      .selectFrom('lease')
      .selectAll()
      .where('id', '=', leaseId)
      .executeTakeFirst();
    if (lease === undefined || (deviceId !== undefined && lease.device_id !== deviceId)) {
      throw new HubError('not-found', `no lease ${leaseId}`);
    }
    return this.#recorded(lease);
  }

  async #recorded(lease: LeaseRow): Promise<RecordedRelease> {
    const { log_index: logIndex, attestation_result: attestationResult } = lease;
    const { entry } = await this.#database.read
      .selectFrom('audit_entry')
      .select('entry')
      .where('log_index', '=', logIndex)
      .executeTakeFirstOrThrow();
    const model = await this.#database.read
      .selectFrom('model_release')
      .select(['name', 'version', 'manifest', 'manifest_digest', 'signature'])
      .where('name', '=', lease.model)
      .where('version', '=', lease.version)
      .executeTakeFirstOrThrow();
    return { logIndex, entry, receiver: lease.device_id, attestationResult, model };
  }

  async #assemble({
    logIndex,
    entry,
    namesEvidence,
    receiver,
    attestationResult,
    model,
  }: RecordedRelease): Promise<Uint8Array> {
    const asked = releasePolicyOf(model)?.quorum;
    const proof = await this.#log.proofFor(logIndex, this.#witnesses.bestCheckpointFor(logIndex, receiver, asked));
    return encodeReceipt({
      entry,
      namesEvidence,
      attestationResult,
      manifest: model.manifest,
      modelSignature: Buffer.from(model.signature),
      proof: encodeTlogProof(proof),
    });
  }
}
