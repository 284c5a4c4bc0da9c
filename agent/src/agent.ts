// The life of one agent: connect, witness the log, attest, bring the models, check in at intervals. It locks everything at once when the
// hub cuts the device off, its boot is refused, or the log shows a fork.
import { Serial } from '@edgekeep/host/serial';
import type { GuardReport } from '@edgekeep/wire/api/guard-report';
import { type BackoffSettings, backoffDelayMs } from '@edgekeep/wire/link/backoff';
import type { Attributes } from '@edgekeep/wire/api/attributes';
import type { Attestation } from './hub/attestation.ts';
import type { Witness } from './hub/witness.ts';
import type { Bound, HubLink, LinkCallbacks } from './hub/connection.ts';
import type { DesiredStore } from './hub/desired.ts';
import type { AgentError } from './error.ts';
import { connectionFailure, isFinal } from './final-cause.ts';
import { type Emit, failureEvent } from './event.ts';
import { type Answer, cutOffCodes, type Refusal, refusalText } from './hub-api.ts';
import type { HubTime } from './hub/hub-time.ts';
import type { Clocks } from './hub/lifetime.ts';
import type { ModelRunner, ModelRunnerDependencies } from './model/model-runner.ts';
import { RepeatFilter } from './repeat-filter.ts';
import { sendReport, tellFailure } from './hub/report.ts';
import { localFailureOf } from './local-failure.ts';
import { type AgentState, type AgentStatus, modelStatus } from './status.ts';
import { pause } from './wait.ts';
import type { Workloads } from './local/workload.ts';

/** How often the agent asks the hub for its roots on a connection that stays open, milliseconds. */
const rootsEveryMs = 600_000;

/** What the models need from the agent. */
export type RunnerHooks = Pick<ModelRunnerDependencies, 'mayTrustHub' | 'onCutOff'>;

export interface AgentDependencies {
  readonly deviceId: string;
  readonly tier: string;
  /** Why the measured start did not complete: then no model is run. */
  readonly recovery: AgentError | undefined;
  readonly witness: Witness;
  readonly openLink: (callbacks: LinkCallbacks) => HubLink;
  readonly makeRunners: (link: HubLink, hooks: RunnerHooks) => readonly ModelRunner[];
  readonly makeWorkloads: (link: HubLink) => Workloads;
  /** Learns which roots the hub has now; reports what it refuses itself. */
  readonly learnRoots: (link: HubLink) => Promise<void>;
  /** Where files of the state folder were lost: asks the hub what it remembers; reports what fails itself. */
  readonly recoverState: (link: HubLink) => Promise<void>;
  readonly registerHybridKey: (link: HubLink) => Promise<void>;
  /** By the hub's answer that bound the connection, if it is new; else by evidence made now. */
  readonly attest: (link: HubLink, bound: Bound | undefined) => Promise<Answer<Attestation>>;
  /** The device's present attributes. */
  readonly attributes: () => Promise<Attributes>;
  readonly desired: DesiredStore;
  /** The state of the guards on this machine; undefined before one has run. */
  readonly guard: () => GuardReport | undefined;
  /** Invalidates in hardware every key that the root of trust was given so far. */
  readonly endLeases: () => Promise<void>;
  readonly forkProofFile: string;
  readonly proxy: string | undefined;
  readonly checkinSeconds: number;
  readonly emit: Emit;
  readonly clocks: Clocks;
  /** The pause between attestations that were refused or failed here. */
  readonly backoff: BackoffSettings;
  readonly hubTime: Pick<HubTime, 'skewMs'>;
  readonly wantsResult: (attestation: Attestation | undefined) => boolean;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export class AgentLife {
  readonly #dependencies: AgentDependencies;
  readonly #disposal = new AbortController();
  readonly #link: HubLink | undefined;
  readonly #runners: readonly ModelRunner[];
  readonly #workloads: Workloads | undefined;
  readonly #refreshing = new Set<ModelRunner>();
  readonly #locking = new Serial();
  readonly #repeats: RepeatFilter;
  readonly #checkingIn: Promise<void>;
  #wake = Promise.withResolvers<void>();
  #state: AgentState = 'connecting';
  #why = '';
  #attestation: Attestation | undefined;
  #isNew = false;
  /** Of this connection, until it was looked at. */
  #bound: Bound | undefined;
  #attestFailures = 0;
  /** Of elapsed time, both. */
  #attestNotBeforeMs = 0;
  #rootsAskedMs = 0;
  /** The attributes that the hub has from this connection, as JSON. */
  #reported = '';
  #logContinues = false;
  /** How many check-ins in a row failed on this machine. */
  #failedCheckIns = 0;

  constructor(dependencies: AgentDependencies) {
    this.#dependencies = dependencies;
    this.#repeats = new RepeatFilter(dependencies.clocks.elapsed);
    const { witness, recovery, emit, openLink, makeRunners, forkProofFile } = dependencies;
    if (recovery !== undefined) emit({ kind: 'recovery', why: recovery.message });
    if (witness.forked) {
      // The agent does not talk to this hub until an operator has looked into it.
      emit({ kind: 'fork-detected', proofFile: forkProofFile });
      this.#state = 'forked';
      this.#runners = [];
      this.#checkingIn = Promise.resolve();
      return;
    }
    this.#link = openLink(this.#callbacks());
    const hooks: RunnerHooks = {
      mayTrustHub: () => this.#state === 'online' && this.#logContinues && this.#isHealthy(),
      onCutOff: (refusal) => this.#cutOff(refusal),
    };
    this.#runners = recovery === undefined ? makeRunners(this.#link, hooks) : [];
    this.#workloads = dependencies.makeWorkloads(this.#link);
    this.#checkingIn = this.#checkInForever(this.#link);
  }

  /** The newest attestation result, a JWT. */
  get attestationResult(): string | undefined {
    return this.#attestation?.token;
  }

  /** The PCRs that the hub asks for; undefined before it was asked. */
  get pcrs(): readonly number[] | undefined {
    return this.#link?.pcrs;
  }

  /** Undefined when the agent does not talk to the hub. */
  get workloads(): Workloads | undefined {
    return this.#workloads;
  }

  runner(name: string): ModelRunner | undefined {
    return this.#runners.find((runner) => runner.name === name);
  }

  status(): AgentStatus {
    const { deviceId, tier, recovery, witness, proxy = null } = this.#dependencies;
    const { result, state } = this.#attestation ?? {};
    return {
      deviceId,
      tier,
      state: recovery !== undefined && this.#state !== 'forked' ? 'recovery' : this.#state,
      connected: this.#link?.connected ?? false,
      hubFailure: this.#link?.failure ?? null,
      why: recovery?.message ?? this.#why,
      proxy,
      certificateNotAfter: this.#link?.credential?.notAfterMs ?? null,
      attestation:
        result === undefined
          ? null
          : {
              status: result.status,
              tier: result.tier,
              at: result.issuedAt * 1_000,
              reasons: result.reasons,
              deviceState: state ?? '',
            },
      log: { size: witness.size, continues: this.#logContinues, forked: witness.forked },
      models: this.#runners.map(modelStatus),
    };
  }

  /** Stops everything; models are locked first. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposal.abort();
    this.#wake.resolve();
    await Promise.all(this.#runners.map((runner) => runner[Symbol.asyncDispose]()));
    await this.#link?.[Symbol.asyncDispose]();
    await this.#checkingIn;
    await this.#locking.idle();
  }

  #callbacks(): LinkCallbacks {
    const { emit } = this.#dependencies;
    return {
      onConnected: (bound) => {
        this.#setState('online', '');
        this.#isNew = true;
        this.#bound = bound;
        this.#attestNotBeforeMs = 0;
        this.#reported = '';
        emit({ kind: 'connected', state: bound.state });
        this.#wake.resolve();
      },
      onDisconnected: (why) => {
        if (this.#state === 'online') this.#setState('offline', why);
        emit({ kind: 'disconnected', why });
      },
      onRenewed: (notAfter) => emit({ kind: 'certificate-renewed', notAfter }),
      onRefused: (step, refusal) => this.#refused(step, refusal),
      onFailed: (error) => {
        const { text, event } = connectionFailure(error);
        if (!this.#shouldReport(text)) return;
        if (event.kind === 'stopped') this.#setState('stopped', event.why);
        emit(event);
      },
    };
  }

  async #checkInForever(link: HubLink): Promise<void> {
    const { signal } = this.#disposal;
    const { checkinSeconds, random } = this.#dependencies;
    while (!signal.aborted) {
      // A fleet that was started together does not check in together.
      await Promise.race([pause(checkinSeconds * 1_000 * (0.9 + random() / 5), signal), this.#wake.promise]);
      this.#wake = Promise.withResolvers();
      if (signal.aborted || !link.connected) continue;
      try {
        await this.#checkIn(link);
      } catch (error) {
        // What cannot heal is not asked for again on this connection.
        if (isFinal(error)) this.#attestNotBeforeMs = Number.POSITIVE_INFINITY;
        const event = failureEvent('check-in', error);
        const text = event.kind === 'failed' ? `${event.code}: ${event.message}` : event.kind;
        if (!signal.aborted && link.connected && this.#shouldReport(text)) this.#dependencies.emit(event);
      }
    }
  }

  async #checkIn(link: HubLink): Promise<void> {
    const patience = this.#isNew ? 'now' : 'patient';
    await this.#dependencies.recoverState(link);
    // The log comes first: the agent takes nothing from a hub that cannot prove its log's history.
    await this.#vouchOrTell(link);
    if (this.#state !== 'online') return;
    await this.#learnRoots(link);
    try {
      const due = this.#isNew || !this.#isHealthy() || this.#dependencies.wantsResult(this.#attestation);
      if (due && this.#dependencies.clocks.elapsed() >= this.#attestNotBeforeMs) {
        this.#attestLater();
        await this.#attest(link);
        this.#isNew = false;
      }
    } finally {
      // A device that accepts no attestation result, for example because of its clock, reports why.
      await this.#report(link);
    }
    // On a connection without an attestation, nothing else happens.
    if (this.#isNew) return;
    if (this.#isHealthy()) await this.#dependencies.registerHybridKey(link);
    if (this.#isHealthy()) await this.#workloads?.refresh();
    for (const runner of this.#runners) {
      // A long download does not delay the check-ins, and they do not pile up behind it.
      if (this.#refreshing.has(runner)) continue;
      this.#refreshing.add(runner);
      void runner.refresh(patience).finally(() => this.#refreshing.delete(runner));
    }
  }

  // If the hub has no answer here, nothing is lost: attestation and models continue.
  async #learnRoots(link: HubLink): Promise<void> {
    const { learnRoots, emit, clocks } = this.#dependencies;
    // A log that does not continue may have been handed over to one that only a newer key list names.
    const due = this.#isNew || !this.#logContinues || clocks.elapsed() >= this.#rootsAskedMs + rootsEveryMs;
    if (!due) return;
    this.#rootsAskedMs = clocks.elapsed();
    await learnRoots(link).catch((error: unknown) => emit(failureEvent('roots', error)));
  }

  // What the device saw of the log is written down before it cosigns. A full disk takes no file: operators read why.
  async #vouchOrTell(link: HubLink): Promise<void> {
    try {
      await this.#vouch(link);
      this.#failedCheckIns = 0;
    } catch (error) {
      const failure = localFailureOf(error);
      if (failure === undefined) throw error;
      this.#failedCheckIns += 1;
      const models = this.#runners.map(({ report }) => report);
      // The first failure is reported here; the hub gets it at the next check-in.
      await tellFailure(link.send, models, { ...failure, attempts: this.#failedCheckIns }).catch(() => undefined);
      throw error;
    }
  }

  async #vouch(link: HubLink): Promise<void> {
    const { witness, emit, clocks } = this.#dependencies;
    const before = witness.size;
    const verdict = await witness.checkIn(link.send, Math.floor(clocks.clock() / 1_000));
    switch (verdict.kind) {
      case 'cosigned':
        this.#logContinues = true;
        if (verdict.taken && verdict.size !== before) emit({ kind: 'cosigned', size: verdict.size });
        return;
      case 'unproven':
        this.#logContinues = false;
        if (this.#shouldReport(verdict.reasons.join())) emit({ kind: 'log-refused', reasons: verdict.reasons });
        return;
      case 'forked':
        if (verdict.unkept !== undefined) emit(failureEvent('fork-proof', verdict.unkept));
        return this.#forked(link);
      case 'refused':
        return this.#refused('cosignature', verdict);
    }
  }

  async #forked(link: HubLink): Promise<void> {
    const { witness, emit, forkProofFile } = this.#dependencies;
    this.#logContinues = false;
    this.#setState('forked', `the log has two histories: ${forkProofFile} proves it`);
    emit({ kind: 'fork-detected', proofFile: forkProofFile });
    await this.#lockAll('the audit log of the hub forked');
    // An honest hub wants to know of the fork; for any other hub the report costs nothing.
    await sendReport(link.send, { counts: [], forkProof: witness.forkProof }).catch(() => undefined);
    // Not awaited here: disposal waits for the check-in that this is part of.
    void link[Symbol.asyncDispose]();
  }

  async #attest(link: HubLink): Promise<void> {
    const { emit, attest } = this.#dependencies;
    const before = this.#attestation?.result;
    const bound = this.#bound;
    this.#bound = undefined;
    const answer = await attest(link, bound);
    if (answer.kind === 'refused') return this.#refused('attestation', answer);
    this.#attestation = answer.value;
    if (this.#isHealthy()) this.#attestFailures = 0;
    const { status, tier, reasons } = answer.value.result;
    if (this.#isHealthy()) return emit({ kind: 'attested', status, tier, reasons });
    const message = `the boot was refused: ${status}`;
    const isNew = JSON.stringify(before?.reasons) !== JSON.stringify(reasons) || this.#isNew;
    if (isNew) emit({ kind: 'refused', step: 'attestation', code: 'attestation-refused', message, reasons });
    await this.#lockAll(message, 'attestation-refused');
  }

  async #report(link: HubLink): Promise<void> {
    const counts = this.#runners.flatMap(({ held }) => {
      const { counts: own } = held ?? {};
      return held === undefined || own === undefined
        ? []
        : [{ model: held.model.name, version: held.model.version, counts: own }];
    });
    const { attributes, desired, emit, guard, hubTime } = this.#dependencies;
    const own = await attributes();
    const text = JSON.stringify(own);
    const isNew = text !== this.#reported;
    const { version: desiredVersion } = desired.present;
    const { skewMs } = hubTime;
    const answer = await sendReport(link.send, {
      counts,
      models: this.#runners.map(({ report }) => report),
      clockSkewSeconds: skewMs === undefined ? undefined : Math.round(skewMs / 1_000),
      guard: guard(),
      desiredVersion,
      ...(isNew ? { attributes: own } : {}),
    });
    if (answer.kind === 'refused') return this.#refused('report', answer);
    this.#reported = text;
    // Not awaited: opening a model again does not delay the check-in.
    for (const { model, number } of answer.value.retry ?? []) void this.runner(model)?.retry(number);
    if (answer.value.desired === undefined) return;
    await desired.take(answer.value.desired);
    emit({ kind: 'desired-changed', version: desired.present.version });
  }

  // Counted as a failure until it succeeds: a request that is refused, or fails here, is not repeated at every check-in.
  #attestLater(): void {
    const { clocks, backoff, random } = this.#dependencies;
    this.#attestFailures += 1;
    this.#attestNotBeforeMs = clocks.elapsed() + backoffDelayMs(backoff, this.#attestFailures, random());
  }

  #isHealthy(): boolean {
    return ['affirming', 'warning'].includes(this.#attestation?.result.status ?? '');
  }

  #refused(step: string, refusal: Refusal): void {
    const { code, message, reasons } = refusal;
    if (this.#shouldReport(`${step} ${refusalText(refusal)}`))
      this.#dependencies.emit({ kind: 'refused', step, code, message, reasons });
    if (cutOffCodes.includes(code) || code === 'certificate-revoked') this.#cutOff(refusal);
  }

  #cutOff(refusal: Refusal): void {
    this.#setState(refusal.code === 'device-retired' ? 'retired' : 'quarantined', refusal.message);
    void this.#lockAll(refusalText(refusal));
  }

  #lockAll(why: string, refusal?: string): Promise<void> {
    this.#workloads?.drop(why);
    return this.#locking.run(async () => {
      const holds = this.#runners.some(({ held }) => held !== undefined);
      await Promise.all(this.#runners.map((runner) => runner.lock(why, refusal)));
      if (holds) await this.#dependencies.endLeases();
    });
  }

  #setState(state: AgentState, why: string): void {
    if (this.#state === 'forked') return; // Only an operator resolves a fork.
    this.#state = state;
    this.#why = why;
    if (state === 'online') this.#repeats.clear();
  }

  #shouldReport(why: string): boolean {
    this.#why = why;
    return this.#repeats.passes(why);
  }
}
