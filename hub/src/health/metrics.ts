// Prometheus metrics of the hub.
import { collectDefaultMetrics, Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { AuditLog } from '../audit/log.ts';
import { countDeviceModels } from '../model/devices-of-model.ts';
import { countOpenAlerts } from '../alert/alert-list.ts';
import type { Database } from '../store/database.ts';

// A device reports what it wants: one report does not move the count of a fleet further than this.
const ENDED_GUARDS_COUNTED_MAX = 100;

interface MetricsDependencies {
  readonly connections: { readonly count: number; readonly devices: number };
  readonly log: AuditLog;
  readonly database: Pick<Database, 'readApart'>;
}

export type EndedGuards = Readonly<Record<string, number>>;

export interface Metrics {
  readonly registry: Registry;
  countRelease(outcome: string): void;
  countRefused(listener: string, code: string): void;
  countFormerName(listener: string, name: string): void;
  /** Guards that one report says have ended, by reason. */
  readonly countEndedGuards: (ended: EndedGuards) => void;
  observeRequest(listener: string, route: string, status: number, seconds: number): void;
}

export function createMetrics(registry: Registry, { connections, log, database }: MetricsDependencies): Metrics {
  collectDefaultMetrics({ register: registry });
  removeMisnamed(registry);
  const registers = [registry];
  const releases = new Counter({
    name: 'edgekeep_key_releases_total',
    help: 'Requested key releases, by outcome (released, or the error code of the refusal).',
    labelNames: ['outcome'],
    registers,
  });
  const refused = new Counter({
    name: 'edgekeep_refused_total',
    help: 'Requests refused because a permission, a proof or budget was missing (401, 403, 413, 429), by listener and code.',
    labelNames: ['listener', 'code'],
    registers,
  });
  const formerNames = new Counter({
    name: 'edgekeep_former_names_total',
    help: 'Requests that used a name of the version before, by listener and name: what to change before the next upgrade.',
    labelNames: ['listener', 'name'],
    registers,
  });
  const endedGuards = new Counter({
    name: 'edgekeep_guards_ended_total',
    help: 'Guards on devices that ended unexpectedly, as the devices reported it, by reason (inference-timeout, protocol-violation, crashed).',
    labelNames: ['reason'],
    registers,
  });
  const requests = new Histogram({
    name: 'edgekeep_request_seconds',
    help: 'Time to answer a request, by listener, route and status.',
    labelNames: ['listener', 'route', 'status'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers,
  });
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  gauge('edgekeep_device_connections', 'Live TLS connections on the device listener.', () => connections.count);
  gauge('edgekeep_devices_online', 'Devices with at least one live connection.', () => connections.devices);
  gauge('edgekeep_audit_log_size', 'Entries in the integrated audit log.', () => log.size);
  registry.registerMetric(openAlerts(database));
  registry.registerMetric(deviceModels(database));
  return {
    registry,
    countRelease: (outcome) => releases.inc({ outcome }),
    countRefused: (listener, code) => refused.inc({ listener, code }),
    countFormerName: (listener, name) => formerNames.inc({ listener, name }),
    countEndedGuards: (ended) => countEach(endedGuards, ended),
    observeRequest: (listener, route, status, seconds) => requests.observe({ listener, route, status }, seconds),
  };
}

/** Prometheus keeps `_total` for counters; the library gives that name to three gauges, whose values others have by type. */
function removeMisnamed(registry: Registry): void {
  for (const metric of registry.getMetricsAsArray())
    if (metric instanceof Gauge && metric.name.endsWith('_total')) registry.removeSingleMetric(metric.name);
}

function countEach(counter: Counter<'reason'>, ended: EndedGuards): void {
  for (const [reason, count] of Object.entries(ended))
    counter.inc({ reason }, Math.min(count, ENDED_GUARDS_COUNTED_MAX));
}

function openAlerts({ readApart }: Pick<Database, 'readApart'>): Gauge {
  return new Gauge({
    name: 'edgekeep_alerts_open',
    help: 'Alerts that nobody has acknowledged, by kind and severity.',
    labelNames: ['kind', 'severity'],
    registers: [],
    async collect() {
      const counts = await countOpenAlerts(readApart);
      this.reset();
      for (const { kind, severity, count } of counts) this.set({ kind, severity }, count);
    },
  });
}

function deviceModels({ readApart }: Pick<Database, 'readApart'>): Gauge {
  return new Gauge({
    name: 'edgekeep_device_models',
    help: 'Models on devices as reported, by model, state and fault (a code of docs/errors.md, or none).',
    labelNames: ['model', 'state', 'fault'],
    registers: [],
    async collect() {
      const counts = await countDeviceModels(readApart);
      this.reset();
      for (const { model, state, fault, count } of counts) this.set({ model, state, fault }, count);
    },
  });
}
