// Opens the webhooks (spec/webhooks.md): a consumer of the audit log that puts alerts before each webhook, and the job that sends them.
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Clock } from '../common/clock.ts';
import type { Subject } from '../common/subject.ts';
import { alertEntryKinds, alertEventsOf } from '../event/alert-events.ts';
import type { Events } from '../event/open.ts';
import type { PlatformKey } from '../secrets/platform-key.ts';
import type { Database } from '../store/database.ts';
import { webhookAlarm } from './alarm.ts';
import { countsOf, enqueue } from './deliveries.ts';
import { listWebhooks } from './destinations.ts';
import { type PostWebhook, WebhookSender } from './sender.ts';

interface Sending {
  readonly database: Database;
  readonly platformKey: PlatformKey;
  readonly post: PostWebhook;
  readonly clock: Clock;
}

interface WebhookSettings {
  readonly logOrigin: string;
  readonly events: { readonly maxLagSeconds: number };
}

export interface Webhooks extends Subject {
  readonly sender: WebhookSender;
}

export function openWebhooks(sending: Sending, settings: WebhookSettings, events: Pick<Events, 'add'>): Webhooks {
  const { database, clock } = sending;
  const deliveries = new Counter({
    name: 'edgekeep_webhook_deliveries_total',
    help: 'Messages to webhooks, by webhook and outcome (delivered; failed: it is tried again; dead: it is not).',
    labelNames: ['webhook', 'outcome'],
    registers: [],
  });
  const sender = new WebhookSender({
    ...sending,
    origin: settings.logOrigin,
    count: (webhook, outcome) => deliveries.inc({ webhook, outcome }),
  });
  events.add({
    name: 'webhooks',
    summary: 'puts alerts into the queues of webhooks',
    kinds: alertEntryKinds,
    handle: async (batch) => {
      const alerts = await alertEventsOf(database.read, batch);
      return (trx) => enqueue(trx, alerts, clock());
    },
  });
  const { maxLagSeconds } = settings.events;
  return {
    sender,
    jobs: [sender.job, webhookAlarm({ database, clock, maxLagSeconds })],
    metrics: (registry: Registry) => {
      registry.registerMetric(deliveries);
      registry.registerMetric(letters(database));
    },
    [Symbol.asyncDispose]: () => sender[Symbol.asyncDispose](),
  };
}

function letters({ read }: Pick<Database, 'read'>): Gauge<'webhook' | 'state'> {
  return new Gauge({
    name: 'edgekeep_webhook_letters',
    help: 'Messages that webhooks have not got, by webhook and state (waiting, dead).',
    labelNames: ['webhook', 'state'],
    registers: [],
    async collect() {
      this.reset();
      for (const { name: webhook } of await listWebhooks(read)) {
        const { waiting, dead } = await countsOf(read, webhook);
        this.set({ webhook, state: 'waiting' }, waiting);
        this.set({ webhook, state: 'dead' }, dead);
      }
    },
  });
}
