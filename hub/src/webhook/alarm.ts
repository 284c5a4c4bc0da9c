// A webhook whose receiver does not take what it is sent is an alert (spec/webhooks.md).
import { weighAlert } from '../alert/alerts.ts';
import type { Clock } from '../common/clock.ts';
import type { Job } from '../common/subject.ts';
import type { Database } from '../store/database.ts';
import type { WebhookRow } from '../store/tables/webhook.ts';
import { countsOf, newestProblem } from './deliveries.ts';
import { listWebhooks } from './destinations.ts';

interface AlarmDependencies {
  readonly database: Database;
  readonly clock: Clock;
  /** How long an event may wait without an alert. */
  readonly maxLagSeconds: number;
}

const everyMs = 10_000;

export function webhookAlarm(dependencies: AlarmDependencies): Job {
  return {
    name: 'webhook-alarm',
    summary: 'raises and settles the alerts about webhooks whose receivers take nothing',
    everyMilliseconds: everyMs,
    runsOn: 'one-node',
    run: () => weighWebhooks(dependencies),
  };
}

async function weighWebhooks(dependencies: AlarmDependencies): Promise<void> {
  const { database, clock } = dependencies;
  const webhooks = await listWebhooks(database.read);
  const nowMs = clock();
  for (const webhook of webhooks) {
    const about = aboutOf(webhook.name, nowMs);
    const wrong = await wrongWith(webhook, dependencies);
    if (wrong === undefined) await weighAlert(database, about, { settled: 'its receiver takes what it is sent' });
    else {
      const problem = (await newestProblem(database.read, webhook.name)) ?? '';
      const title = `the webhook ${webhook.name} ${wrong}${problem === '' ? '' : `: ${problem}`}`;
      await weighAlert(database, about, { severity: 'high', title, data: { webhook: webhook.name, problem } });
    }
  }
  await settleRemoved(dependencies, new Set(webhooks.map(({ name }) => name)));
}

async function wrongWith(webhook: WebhookRow, { database, clock, maxLagSeconds }: AlarmDependencies) {
  if (webhook.disabled_reason !== null) return `is disabled: ${webhook.disabled_reason}`;
  const { dead, oldestAt } = await countsOf(database.read, webhook.name);
  if (dead > 0) return 'has dead letters';
  return oldestAt !== null && clock() - oldestAt > maxLagSeconds * 1_000 ? 'does not take what it is sent' : undefined;
}

async function settleRemoved({ database, clock }: AlarmDependencies, names: ReadonlySet<string>): Promise<void> {
  const standing = await database.read
    .selectFrom('alert')
    .select('subject')
    .where('kind', '=', 'webhook-failing')
    .where('state', '<>', 'closed')
    .execute();
  for (const { subject } of standing) {
    const name = subject.replace(/^webhook:/, '');
    if (!names.has(name)) await weighAlert(database, aboutOf(name, clock()), { settled: 'the webhook was removed' });
  }
}

const aboutOf = (name: string, nowMs: number) =>
  ({ kind: 'webhook-failing', subject: { part: `webhook:${name}` }, nowMs }) as const;
