// Alerts as syslog messages (RFC 5424), in the frames of RFC 5425: `MSG-LEN SP SYSLOG-MSG`. Titles and names contain texts of devices and
// strangers: none can begin a line, end a value or add an element.
import { concat, utf8 } from '@edgekeep/core/bytes';
import type { AlertSeverity } from '@edgekeep/wire/api/alert';
import type { AlertEvent } from '../event/alert-events.ts';

export interface SyslogSource {
  /** The hub's name; RFC 5424 section 6.2.4. */
  readonly hostName: string;
  readonly facility: number;
  readonly enterpriseNumber: number | null;
}

/** RFC 5424 section 6.2.1: critical, error, warning, notice. */
const severities: Readonly<Record<AlertSeverity, number>> = { critical: 2, high: 3, medium: 4, low: 5 };
/** What people did about an alert. */
const INFORMATIONAL = 6;
const HOST_NAME_MAX = 255;
/** RFC 5425 section 4.3.1: a receiver should take 8192 octets, with room for what a relay adds. */
const MESSAGE_BYTES_MAX = 7_168;
const BOM = '\ufeff';

/** The message of one event, with its length before it. */
export function syslogFrame(event: AlertEvent, source: SyslogSource): Uint8Array {
  const message = utf8Within(`${headerOf(event, source)} ${dataOf(event, source)} ${BOM}${textOf(event)}`);
  return concat(utf8(`${message.length} `), message);
}

function headerOf({ at, change, severity }: AlertEvent, { hostName, facility }: SyslogSource): string {
  const grave = change === 'raised' || change === 'escalated' ? severities[severity] : INFORMATIONAL;
  const host = /^[!-~]+$/.test(hostName) ? hostName.slice(0, HOST_NAME_MAX) : '-';
  return `<${facility * 8 + grave}>1 ${new Date(at).toISOString()} ${host} edgekeep - alert-${change}`;
}

/** `origin` is registered (RFC 5424 section 7.2); a name of our own needs the number of an enterprise, and 32473 is one of examples alone. */
function dataOf(event: AlertEvent, { enterpriseNumber }: SyslogSource): string {
  const own = enterpriseNumber === null ? '' : elementOf(`edgekeep@${enterpriseNumber}`, parametersOf(event));
  return `${elementOf('origin', { software: 'edgekeep' })}${own}`;
}

function parametersOf(event: AlertEvent): Readonly<Record<string, string>> {
  const { index, alert, kind, severity, subject, change, actor } = event;
  return { event: String(index), alert: String(alert), change, kind, severity, subject, actor };
}

function elementOf(id: string, parameters: Readonly<Record<string, string>>): string {
  const all = Object.entries(parameters).map(([name, value]) => ` ${name}="${escaped(value)}"`);
  return `[${id}${all.join('')}]`;
}

/** RFC 5424 section 6.3.3. */
function escaped(value: string): string {
  return oneLine(value).replaceAll(/["\\\]]/g, '\\$&');
}

/** Also without an enterprise number, a reader finds the alert by its line. */
function textOf({ alert, change, kind, severity, subject, title, note }: AlertEvent): string {
  const noted = note === null ? '' : `; note: ${note}`;
  return oneLine(`alert ${alert} ${change}: ${severity} ${kind} ${subject}: ${title}${noted}`);
}

// Receivers write lines into files and show them at terminals: no control character, no other end of a line, no mark of direction.
function oneLine(text: string): string {
  return text.toWellFormed().replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, '\ufffd');
}

function utf8Within(text: string): Uint8Array {
  let kept = text;
  while (Buffer.byteLength(kept) > MESSAGE_BYTES_MAX) kept = kept.slice(0, -64).toWellFormed();
  return utf8(kept);
}
