// What a webhook gets: one event as CloudEvents 1.0 in its structured JSON form (spec/webhooks.md).
import { sha256Hex } from '@edgekeep/core/digest';
import { utf8 } from '@edgekeep/core/bytes';
import type { AlertEvent } from '../event/alert-events.ts';

export const payloadType = 'application/cloudevents+json; charset=utf-8';

export interface WebhookPayload {
  /** For the header `webhook-id`. */
  readonly id: string;
  readonly body: Uint8Array;
}

/** `origin` is the log's: with the index of the entry it names the event everywhere and for ever. */
export function alertPayload(event: AlertEvent, origin: string): WebhookPayload {
  const { index, at, change, alert, kind, severity, subject, title, actor, note, data } = event;
  const detail = { alert, kind, severity, subject, title, actor, note, data };
  return payload(origin, { id: String(index), type: `edgekeep.alert.${change}`, at, subject, data: detail });
}

/** What `edgekeep webhook test` sends; `unique` makes it a message of its own. */
export function testPayload(origin: string, test: { unique: string; webhook: string; at: number }): WebhookPayload {
  const data = { webhook: test.webhook };
  const event = { id: `test-${test.unique}`, type: 'edgekeep.webhook.test', at: test.at };
  return payload(origin, { ...event, subject: `webhook:${test.webhook}`, data });
}

interface CloudEvent {
  readonly id: string;
  readonly type: string;
  readonly at: number;
  readonly subject: string;
  readonly data: object;
}

function payload(origin: string, { id, type, at, subject, data }: CloudEvent): WebhookPayload {
  const event = {
    specversion: '1.0',
    id,
    source: `urn:edgekeep:log:${origin.split('/').map(encodeURIComponent).join('/')}`,
    type,
    time: new Date(at).toISOString(),
    subject,
    datacontenttype: 'application/json',
    data,
  };
  // Receivers of several hubs remember ids to find repetitions.
  return { id: `${sha256Hex(origin).slice(0, 16)}_${id}`, body: utf8(JSON.stringify(event)) };
}
