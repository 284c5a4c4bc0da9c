// Sends what waits for webhooks (spec/webhooks.md). Each webhook has a turn of its own, one message after the other, the oldest first: a slow or
// broken receiver holds up no other.
import { setTimeout as delay } from 'node:timers/promises';
import { printable } from '@edgekeep/core/canonical/printable';
import { messageOf } from '@edgekeep/core/message-of';
import { parseAuditEntry } from '@edgekeep/core/audit/entry';
import { alertEventsOf } from '../event/alert-events.ts';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import type { Job } from '../common/subject.ts';
import type { PlatformKey } from '../secrets/platform-key.ts';
import type { Database } from '../store/database.ts';
import type { WebhookDeliveryRow, WebhookRow } from '../store/tables/webhook.ts';
import { delivered, nextDue, noteAttempt } from './deliveries.ts';
import { disableWebhook, listWebhooks } from './destinations.ts';
import { alertPayload, payloadType, testPayload, type WebhookPayload } from './payload.ts';
import { parseRetryAfter, retryDelayMs } from './retry.ts';
import { signingSecrets, validSecrets } from './secrets.ts';
import { signedHeaders } from './signature.ts';

/** One POST to a stranger's server. Rejects where no answer comes. Redirects are answers like others. */
export type PostWebhook = (request: {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly trustedPem: string | null;
  readonly signal: AbortSignal;
}) => Promise<{ readonly status: number; readonly retryAfter: string | undefined }>;

export interface SenderDependencies {
  readonly database: Database;
  readonly platformKey: PlatformKey;
  readonly post: PostWebhook;
  /** Of the log. */
  readonly origin: string;
  readonly clock: Clock;
  /** Called after each attempt. */
  readonly count: (webhook: string, outcome: 'delivered' | 'failed' | 'dead') => void;
  /** In [0, 1). */
  readonly random?: () => number;
}

export interface Attempt {
  /** Undefined: no answer came. */
  readonly status: number | undefined;
  /** Undefined where it was delivered. */
  readonly problem: string | undefined;
  readonly retryAfterMs: number | undefined;
}

const everyMs = 1_000;
const PROBLEM_CHARACTERS_MAX = 300;
/** Messages of one turn: the lead may have gone to another node. */
const MESSAGES_A_TURN_MAX = 100;
/** The server is overloaded, or there is none: the next message would meet the same. */
const throttling: ReadonlySet<number | undefined> = new Set([undefined, 429, 502, 503, 504]);
const PAUSE_MS = 5_000;

export class WebhookSender implements AsyncDisposable {
  readonly #dependencies: SenderDependencies;
  readonly #turns = new Map<string, Promise<void>>();
  /** When a receiver that asked for less is sent to again. */
  readonly #pausedUntil = new Map<string, number>();
  #failure: Error | undefined;

  constructor(dependencies: SenderDependencies) {
    this.#dependencies = dependencies;
  }

  get job(): Job {
    return {
      name: 'webhook-deliveries',
      summary: 'sends what waits for webhooks, and tries again what failed',
      everyMilliseconds: everyMs,
      runsOn: 'one-node',
      run: (signal) => this.#run(signal),
    };
  }

  /** Sends a message that says it is a test, now and once. Throws `conflict` where the webhook has no secret. */
  async test(webhook: WebhookRow, unique: string): Promise<Attempt> {
    const { database, origin, clock } = this.#dependencies;
    const { name } = webhook;
    if ((await validSecrets(database.read, { name, nowMs: clock() })).length === 0)
      throw new HubError(
        'conflict',
        `the webhook ${name} has no secret yet: \`edgekeep webhook roll-secret\` makes one`,
      );
    const payload = testPayload(origin, { unique, webhook: name, at: clock() });
    return this.#attempt(webhook, payload, AbortSignal.timeout(60_000));
  }

  /** Waits for the turns under way; the signal of their job has ended them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#turns.values());
  }

  // A turn may outlast the run that began it: the other webhooks get theirs at the next one.
  async #run(signal: AbortSignal): Promise<void> {
    const webhooks = await listWebhooks(this.#dependencies.database.read);
    for (const webhook of webhooks) {
      if (webhook.disabled_reason !== null || this.#turns.has(webhook.name)) continue;
      if (this.#dependencies.clock() < (this.#pausedUntil.get(webhook.name) ?? 0)) continue;
      const turn = this.#turn(webhook, signal)
        .catch((error: unknown) => {
          this.#failure = error instanceof Error ? error : new Error(messageOf(error));
        })
        .finally(() => this.#turns.delete(webhook.name));
      this.#turns.set(webhook.name, turn);
    }
    const ended = new AbortController();
    // The wait was ended: the turns are over.
    const interval = delay(everyMs, undefined, { ref: false, signal: ended.signal }).catch(() => undefined);
    await Promise.race([Promise.all(this.#turns.values()), interval]);
    ended.abort();
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
  }

  async #turn(webhook: WebhookRow, signal: AbortSignal): Promise<void> {
    const { database, clock } = this.#dependencies;
    // Nothing leaves unsigned: what happens meanwhile waits for the first secret.
    if ((await validSecrets(database.read, { name: webhook.name, nowMs: clock() })).length === 0) return;
    for (let sent = 0; sent < MESSAGES_A_TURN_MAX && !signal.aborted; sent += 1) {
      const row = await nextDue(database.read, { webhook: webhook.name, nowMs: clock() });
      if (row === undefined) return;
      const attempt = await this.#attempt(webhook, await this.#payload(row), signal);
      // An interrupted attempt may have arrived: it is made again.
      if (signal.aborted && attempt.problem !== undefined) return;
      if (await this.#settle(webhook, row, attempt)) continue;
      return;
    }
  }

  async #payload({ log_index: index }: WebhookDeliveryRow): Promise<WebhookPayload> {
    const { database, origin } = this.#dependencies;
    const entries = database.read.selectFrom('audit_entry').select('entry').where('log_index', '=', index);
    const { entry } = await entries.executeTakeFirstOrThrow();
    const [event] = await alertEventsOf(database.read, [{ ...parseAuditEntry(entry), index }]);
    if (event === undefined) throw new TypeError(`entry ${index} is not about an alert`);
    return alertPayload(event, origin);
  }

  async #attempt(webhook: WebhookRow, { id, body }: WebhookPayload, signal: AbortSignal): Promise<Attempt> {
    const { database, platformKey, post, clock } = this.#dependencies;
    const nowMs = clock();
    const secrets = await signingSecrets(database.read, platformKey, { name: webhook.name, nowMs });
    try {
      const signed = signedHeaders({ id, seconds: Math.floor(nowMs / 1_000), body }, webhook.signing, secrets);
      const headers = { ...signed, 'content-type': payloadType };
      const { url, trusted_pem: trustedPem } = webhook;
      const { status, retryAfter } = await post({ url, headers, body, trustedPem, signal });
      const problem = status >= 200 && status <= 299 ? undefined : `the receiver answered ${status}`;
      return { status, problem, retryAfterMs: parseRetryAfter(retryAfter, clock()) };
    } catch (error) {
      const problem = printable(messageOf(error), PROBLEM_CHARACTERS_MAX);
      return { status: undefined, problem, retryAfterMs: undefined };
    } finally {
      for (const secret of secrets) secret.fill(0);
    }
  }

  /** Whether the next message may follow at once. */
  async #settle(webhook: WebhookRow, row: WebhookDeliveryRow, attempt: Attempt): Promise<boolean> {
    const { database, clock, count, random = Math.random } = this.#dependencies;
    const { status, problem, retryAfterMs } = attempt;
    const { name } = webhook;
    if (problem === undefined) {
      await database.writeAsHub((trx) => delivered(trx, row));
      count(name, 'delivered');
      return true;
    }
    const nowMs = clock();
    const wait = status === 410 ? undefined : retryDelayMs(row.attempts + 1, { random: random(), retryAfterMs });
    await database.writeAsHub(async (trx) => {
      await noteAttempt(trx, { ...row, problem, nowMs, nextAt: wait === undefined ? null : nowMs + wait });
      const reason = 'the receiver wants nothing any more (410 Gone)';
      if (status === 410) await disableWebhook(trx, { name, reason, nowMs });
    });
    count(name, wait === undefined ? 'dead' : 'failed');
    if (status === 410) return false;
    if (!throttling.has(status)) return true;
    this.#pausedUntil.set(name, nowMs + Math.max(PAUSE_MS, Math.min(retryAfterMs ?? 0, wait ?? 0)));
    return false;
  }
}
