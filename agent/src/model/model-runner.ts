// Runs one model of the settings: downloads the current release, requests its key, opens and serves it, renews the lease ahead of time,
// swaps to a new version only when that one serves, and locks everything at once when the lease ends or the hub cuts the device off.
import { join } from 'node:path';
import { replaceFile } from '@edgekeep/host/durable-file';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import { Serial } from '@edgekeep/host/serial';
import { type BackoffSettings, backoffDelayMs } from '@edgekeep/wire/link/backoff';
import type { ModelFaultPlace, ModelReport, ReportedFault } from '@edgekeep/wire/api/model-report';
import { AgentError } from '../error.ts';
import type { Emit } from '../event.ts';
import type { GuardListener } from '../guard/listener.ts';
import type { GuardHost } from '../guard/host.ts';
import { forProgram, lockedNow, refusedByHub, refusedHere } from '../guard/unavailable.ts';
import { inTenths } from './download-progress.ts';
import { HeldModel } from './held-model.ts';
import { type Answer, cutOffCodes, type Refusal, refusalText } from '../hub-api.ts';
import type { HubLink } from '../hub/connection.ts';
import type { HybridKey } from '../hub/hybrid-key.ts';
import type { HubTime } from '../hub/hub-time.ts';
import { clockFault, endLeases, type KeyGrant, type LeaseDependencies, renewalShareOf, requestKey } from './lease.ts';
import { readClocks } from '../hub/lifetime.ts';
import { faultOf } from './model-fault.ts';
import type { ModelFaults } from './model-faults.ts';
import type { ModelStore } from './model-store.ts';
import { currentModel, type VerifiedModel } from './model.ts';
import { OpenedModel } from './opened-model.ts';
import { RepeatFilter } from '../repeat-filter.ts';
import type { ModelSettings } from '../settings.ts';
import type { HighestVersions } from './versions.ts';
import { pause, waitUntilDue } from '../wait.ts';

export interface ModelRunnerDependencies extends Omit<LeaseDependencies, 'link' | 'hybridKey'> {
  readonly settings: ModelSettings;
  readonly link: Pick<HubLink, 'send' | 'download' | 'withChallenge' | 'connected' | 'hybridKey'>;
  readonly hybridKey: Pick<HybridKey, 'wraps' | 'openWrapped'>;
  readonly rootOfTrust: Pick<RootOfTrust, 'openKey' | 'endLeases'>;
  readonly store: ModelStore;
  readonly versions: HighestVersions;
  readonly faults: ModelFaults;
  /** Throws what this machine lacks for a model. */
  readonly assertReady: (model: VerifiedModel) => Promise<void>;
  readonly receiptsFolder: string;
  readonly guardHost: () => Promise<GuardHost>;
  /** The address for predictions; undefined when the model is never served. */
  readonly listener: GuardListener | undefined;
  readonly socketPath: string | undefined;
  /** Whether the hub may be trusted with anything new now: its log extends what this device saw. */
  readonly mayTrustHub: () => boolean;
  /** The hub cut the device off: not only this model must be locked. */
  readonly onCutOff: (refusal: Refusal) => void;
  readonly emit: Emit;
  readonly hubTime: Pick<HubTime, 'skewMs'>;
  /** The pause after refusals and failures of this device. */
  readonly backoff: BackoffSettings;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** A guard that keeps crashing is restarted after longer and longer pauses. */
const restartDelayMs = { min: 1_000, max: 900_000 } as const;
/** After this long a crash counts as the first one again. */
const steadyAfterMs = 300_000;

export class ModelRunner {
  readonly name: string;
  readonly #dependencies: ModelRunnerDependencies;
  readonly #serial = new Serial();
  readonly #disposal = new AbortController();
  #lock = new AbortController();
  #held: HeldModel | undefined;
  /** Being replaced by another one, and finishing its open requests. */
  readonly #retiring = new Set<HeldModel>();
  readonly #repeats: RepeatFilter;
  #why = 'not requested yet';
  #crashes = 0;
  /** Refusals and failures in a row. */
  #failures = 0;
  /** Of elapsed time: with `patient` there is no attempt before it. */
  #notBeforeMs = 0;
  /** The present step and its release: a failure is reported with them. */
  #place: ModelFaultPlace = 'offer';
  #offered: VerifiedModel | undefined;
  /** The length of leases of this model, once one was seen. */
  #leaseMs: number | undefined;

  constructor(dependencies: ModelRunnerDependencies) {
    this.#dependencies = dependencies;
    this.#repeats = new RepeatFilter(dependencies.clocks.elapsed);
    this.name = dependencies.settings.name;
  }

  get held(): HeldModel | undefined {
    return this.#held;
  }

  /** Why the model is not held, for people. */
  get why(): string {
    return this.#held === undefined ? this.#why : '';
  }

  /** Where predictions are asked for. */
  get socket(): string | undefined {
    return this.#dependencies.socketPath;
  }

  get loopbackPort(): number | undefined {
    return this.#dependencies.listener?.loopbackPort;
  }

  /**
   * Brings the model to the hub's current release. Never rejects: a failure becomes an event, and the next check-in tries again. `patient`
   * respects the backoff after refusals and failures; without it the hub is asked now.
   */
  refresh(patience: 'patient' | 'now'): Promise<void> {
    return this.#serial.run(async () => {
      const { link, mayTrustHub, clocks } = this.#dependencies;
      if (this.#disposal.signal.aborted || !link.connected || !mayTrustHub()) return;
      if (patience === 'patient' && clocks.elapsed() < this.#notBeforeMs) return;
      const { signal } = this.#lock;
      try {
        await this.#refresh(signal);
      } catch (error) {
        if (!signal.aborted) await this.#failed(error);
      }
    });
  }

  /** The model in a report. */
  get report(): ModelReport {
    const { faults } = this.#dependencies;
    const held = this.#held;
    return {
      model: this.name,
      state: held === undefined ? 'locked' : held.guard === undefined ? 'ready' : 'serving',
      version: held?.model.version ?? null,
      manifestDigest: held?.model.digestHex ?? null,
      fault: faults.of(this.name),
      retried: faults.retried(this.name),
    };
  }

  /** Follows an operator's order, by its number, to try a final fault again; an order that was followed before changes nothing. */
  async retry(number: number): Promise<void> {
    if (!(await this.#dependencies.faults.retry(this.name, number))) return;
    this.#repeats.clear();
    this.#dependencies.emit({ kind: 'model-retried', model: this.name });
    await this.refresh('now');
  }

  /** Removes the model now, at any step; `refusal` is the code of the hub, for applications. Resolves when the guard is gone and memory is wiped. */
  async lock(why: string, refusal?: string): Promise<void> {
    this.#lock.abort();
    this.#lock = new AbortController();
    this.#why = why;
    const held = this.#held;
    this.#held = undefined;
    this.#dependencies.listener?.serve(undefined);
    if (refusal !== undefined) this.#dependencies.listener?.explain(refusedByHub(refusal));
    else if (held !== undefined) this.#dependencies.listener?.explain(lockedNow);
    const ending = [...this.#retiring, ...(held === undefined ? [] : [held])];
    await Promise.all(ending.map((each) => each[Symbol.asyncDispose]()));
    if (held === undefined) return;
    this.#dependencies.emit({ kind: 'locked', model: this.name, why });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposal.abort();
    await this.lock('the agent stops');
    await this.#serial.idle();
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    const { settings, link, trust, versions, faults, store, emit, clocks, assertReady } = this.#dependencies;
    this.#place = 'offer';
    this.#offered = undefined;
    const offered = await currentModel(link.send, settings, trust.publisherKeys);
    if (offered.kind === 'refused') return this.#refused('model', offered);
    const model = offered.value;
    this.#offered = model;
    versions.assertNoRollback(model.name, model.version);
    const held = this.#held;
    if (held !== undefined && held.model.digestHex === model.digestHex) {
      if (held.life.untilRenewalMs(readClocks(clocks), renewalShareOf(held.lease)) > 0) return this.#succeeded();
      return this.#renew(held, model);
    }
    const standing = faults.standing(model.name, model.digestHex);
    if (standing !== undefined) return this.#tellRefused(standing);
    this.#place = 'download';
    const { name, version } = model;
    const told = inTenths((done, bytes) => emit({ kind: 'downloading', model: name, version, done, bytes }));
    const fetched = await store.fetch(model, (input) => link.download(input), { signal, told });
    if (fetched.kind === 'refused') return this.#refused('download', fetched);
    if (fetched.bytes > 0) emit({ kind: 'downloaded', model: name, version, bytes: fetched.bytes });
    this.#place = 'check';
    await assertReady(model);
    const grant = await this.#requestKey(model);
    if (grant.kind === 'refused') return this.#refused('release', grant);
    const { lease } = grant.value;
    emit({ kind: 'released', model: model.name, version: model.version, lease: lease.id, notAfter: lease.notAfter });
    const next = await this.#open(model, grant.value, signal);
    if (signal.aborted) return next[Symbol.asyncDispose]();
    await this.#swap(next);
    await this.#succeeded();
  }

  async #requestKey(model: VerifiedModel): Promise<Answer<KeyGrant>> {
    this.#place = 'check';
    // A lease that the device would refuse because of its own clock is not requested: each answer is a lease, and an entry in the log.
    const fault = clockFault(this.#dependencies.hubTime.skewMs, this.#leaseMs);
    if (fault !== undefined) throw fault;
    this.#place = 'release';
    const grant = await requestKey(this.#dependencies, model, (ms) => (this.#leaseMs = ms));
    if (grant.kind === 'ok') await this.#keepReceipt(grant.value);
    return grant;
  }

  async #renew(held: HeldModel, model: VerifiedModel): Promise<void> {
    const grant = await this.#requestKey(model);
    if (grant.kind === 'refused') return this.#refused('release', grant);
    // The model is open already: the key of this lease is not opened at all.
    const { lease } = grant.value;
    if (held.over.aborted) return;
    held.renew(grant.value);
    await this.#succeeded();
    this.#dependencies.emit({
      kind: 'lease-renewed',
      model: model.name,
      version: model.version,
      lease: lease.id,
      notAfter: lease.notAfter,
    });
  }

  /** Opens the key, opens the files with it, zeroes it, and starts the guard. */
  async #open(model: VerifiedModel, grant: KeyGrant, signal: AbortSignal): Promise<HeldModel> {
    const { rootOfTrust, hybridKey, store, versions, guardHost, listener, emit } = this.#dependencies;
    this.#place = 'key';
    const { wrappedKey, context, lease } = grant;
    const modelKey = await hybridKey.openWrapped(wrappedKey, rootOfTrust, { context, leaseId: lease.id });
    let opened: OpenedModel;
    this.#place = 'open';
    try {
      opened = await OpenedModel.open(store, model, modelKey, signal);
    } catch (error) {
      // Files that do not open are downloaded again the next time.
      if (error instanceof AgentError && error.code === 'model-damaged') await store.remove(model);
      throw error;
    } finally {
      modelKey.fill(0);
    }
    // A lock does not wait for the start of the guard.
    const wipe = () => void opened[Symbol.asyncDispose]();
    signal.addEventListener('abort', wipe, { once: true });
    try {
      if (signal.aborted) throw new AgentError('locked', `${model.name} was locked while it was opened`);
      const replaces = await versions.remember(model.name, model.version);
      // From now on the TPM too opens no earlier version.
      if (replaces) await endLeases(rootOfTrust, emit);
      this.#place = 'guard';
      return await HeldModel.take(model, grant, opened, guardHost, listener);
    } catch (error) {
      await opened[Symbol.asyncDispose]();
      throw error;
    } finally {
      signal.removeEventListener('abort', wipe);
    }
  }

  async #swap(next: HeldModel): Promise<void> {
    const { listener, store, emit } = this.#dependencies;
    const last = this.#held;
    this.#held = next;
    listener?.serve(next.guard);
    listener?.explain(next.guard === undefined ? forProgram : lockedNow);
    const { name, version } = next.model;
    if (next.guard === undefined) emit({ kind: 'ready', model: name, version });
    else emit({ kind: 'serving', model: name, version, guarded: next.guard.guarded, degraded: next.guard.degraded });
    void this.#expireWhenDue(next);
    void this.#renewWhenDue(next);
    void this.#watchGuard(next);
    if (last !== undefined) void this.#retire(last);
    await store.removeOthers(next.model);
  }

  async #retire(last: HeldModel): Promise<void> {
    this.#retiring.add(last);
    await last.retire();
    this.#retiring.delete(last);
  }

  async #expireWhenDue(held: HeldModel): Promise<void> {
    await waitUntilDue(() => held.life.leftMs(readClocks(this.#dependencies.clocks)), held.over);
    if (held.over.aborted) return;
    if (this.#held === held) await this.lock('the lease ended before it could be renewed');
    else await held[Symbol.asyncDispose]();
  }

  async #renewWhenDue(held: HeldModel): Promise<void> {
    const now = () => readClocks(this.#dependencies.clocks);
    while (!held.over.aborted) {
      const { lease } = held;
      await waitUntilDue(() => held.life.untilRenewalMs(now(), renewalShareOf(held.lease)), held.over);
      if (held.over.aborted || this.#held !== held) return;
      await this.refresh('now');
      if (held.lease !== lease) continue;
      // Not renewed: tries again after a quarter of the remaining time, so several times before the end.
      await pause(Math.max(1_000, held.life.leftMs(now()) / 4), held.over);
    }
  }

  async #watchGuard(held: HeldModel): Promise<void> {
    if (held.guard === undefined) return;
    const since = performance.now();
    const { asked, exitCode, signal, errorText, fault } = await held.guard.exited;
    if (asked || this.#held !== held) return;
    const why = `the guard ended (${fault ?? signal ?? exitCode ?? 'its unit has ended: see its journal'}): ${errorText.trim().slice(-300)}`;
    this.#dependencies.emit({ kind: 'guard-ended', model: this.name, why });
    await this.lock(why);
    this.#crashes = performance.now() - since > steadyAfterMs ? 0 : this.#crashes + 1;
    await pause(Math.min(restartDelayMs.max, restartDelayMs.min * 2 ** this.#crashes), this.#disposal.signal);
    await this.refresh('now');
  }

  async #keepReceipt({ receipt }: KeyGrant): Promise<void> {
    await replaceFile(join(this.#dependencies.receiptsFolder, `${this.name}.json`), receipt);
  }

  async #refused(step: string, refusal: Refusal): Promise<void> {
    const { emit, onCutOff } = this.#dependencies;
    const { code, message, reasons } = refusal;
    this.#waitLonger();
    await this.#dependencies.faults.passed(this.name);
    this.#dependencies.listener?.explain(refusedByHub(code));
    if (this.#shouldReport(refusalText(refusal))) emit({ kind: 'refused', step, code, message, reasons });
    if (cutOffCodes.includes(code)) return onCutOff(refusal);
    // The hub no longer accepts what this device booted: its models must be locked. Any other refusal lets the lease run out.
    if (code === 'attestation-refused') await this.lock(refusalText(refusal));
  }

  async #failed(error: unknown): Promise<void> {
    const { faults } = this.#dependencies;
    this.#waitLonger();
    this.#tellRefused(await faults.note(this.name, this.#offered, faultOf(error, this.#place)));
  }

  #tellRefused({ code, place, message: why, final }: ReportedFault): void {
    // Every check-in looks for the next release: that costs no key.
    if (final) this.#notBeforeMs = 0;
    this.#dependencies.listener?.explain(refusedHere(code, final));
    if (this.#shouldReport(`${code} (${place}): ${why}`))
      this.#dependencies.emit({ kind: 'model-refused', model: this.name, code, place, final, why });
  }

  async #succeeded(): Promise<void> {
    this.#failures = 0;
    this.#notBeforeMs = 0;
    this.#repeats.clear();
    await this.#dependencies.faults.clear(this.name);
  }

  #waitLonger(): void {
    const { backoff, clocks, random } = this.#dependencies;
    this.#failures += 1;
    this.#notBeforeMs = clocks.elapsed() + backoffDelayMs(backoff, this.#failures, random());
  }

  #shouldReport(why: string): boolean {
    this.#why = why;
    return this.#repeats.passes(why);
  }
}
