// The agent's status as Prometheus metrics (the text format 0.0.4); docs/device-metrics.md explains each. Nothing in them is secret.
import type { AgentState, AgentStatus, ModelStatus } from '../status.ts';

export const metricsType = 'text/plain; version=0.0.4; charset=utf-8';

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

const states: readonly AgentState[] = [
  'connecting',
  'online',
  'offline',
  'quarantined',
  'retired',
  'recovery',
  'stopped',
  'forked',
];
const modelStates: readonly ModelStatus['state'][] = ['serving', 'ready', 'locked'];
const verdicts = ['accepted', 'fallback', 'review', 'unguarded'] as const;

/** `missingWalls` is undefined before a guard has run. */
export function metricsText(status: AgentStatus, missingWalls: readonly string[] | undefined): string {
  return [...ofAgent(status), ...ofModels(status.models), ...ofProcess(missingWalls)].join('');
}

function ofAgent({
  state,
  connected,
  hubFailure,
  proxy,
  certificateNotAfter,
  attestation,
  log,
}: AgentStatus): readonly string[] {
  return [
    metric('gauge', 'edgekeep_agent_state', 'The state of the device: 1 for the present one.', among(states, state)),
    metric('gauge', 'edgekeep_agent_connected', 'Whether the agent has a connection to its hub.', [
      [{}, Number(connected)],
    ]),
    metric(
      'gauge',
      'edgekeep_agent_hub_failure_info',
      'Why the last attempt to reach the hub failed: 1 for its code; none while there is a connection.',
      hubFailure === null ? [] : [[{ code: hubFailure }, 1]],
    ),
    metric(
      'gauge',
      'edgekeep_agent_proxy_info',
      'The HTTP proxy on the way to the hub: 1 for the one that is used; none where there is none.',
      proxy === null ? [] : [[{ proxy }, 1]],
    ),
    metric('gauge', 'edgekeep_agent_log_size', 'Entries of the hub’s audit log that this device has seen.', [
      [{}, log.size],
    ]),
    metric('gauge', 'edgekeep_agent_log_forked', 'Whether the hub’s audit log was caught with two histories.', [
      [{}, Number(log.forked)],
    ]),
    metric(
      'gauge',
      'edgekeep_agent_attested_timestamp_seconds',
      'When the newest attestation result was made.',
      attestation === null ? [] : [[{ status: attestation.status }, attestation.at / 1_000]],
    ),
    metric(
      'gauge',
      'edgekeep_agent_certificate_end_timestamp_seconds',
      'When the operational certificate ends.',
      certificateNotAfter === null ? [] : [[{}, certificateNotAfter / 1_000]],
    ),
  ];
}

function ofModels(models: readonly ModelStatus[]): readonly string[] {
  const counted = models.flatMap(({ name: model, guard }) => {
    const counts = guard?.counts ?? undefined;
    return counts === undefined ? [] : [{ model, counts }];
  });
  const each = (key: 'refused' | 'failed') => counted.map(({ model, counts }): Sample => [{ model }, counts[key]]);
  return [
    metric(
      'gauge',
      'edgekeep_model_state',
      'The state of each model: 1 for the present one.',
      models.flatMap(({ name: model, state }) => among(modelStates, state, { model })),
    ),
    metric(
      'gauge',
      'edgekeep_model_lease_end_timestamp_seconds',
      'When the lease of each model that is held ends.',
      models.flatMap(({ name: model, lease }): Sample[] =>
        lease === null ? [] : [[{ model }, lease.notAfter / 1_000]],
      ),
    ),
    metric(
      'counter',
      'edgekeep_inference_answers_total',
      'Images that the guard judged, by verdict; requests for a model without guard settings.',
      counted.flatMap(({ model, counts }) => verdicts.map((verdict): Sample => [{ model, verdict }, counts[verdict]])),
    ),
    metric(
      'counter',
      'edgekeep_inference_reasons_total',
      'Reasons why an image was not simply accepted.',
      counted.flatMap(({ model, counts }) =>
        Object.entries(counts.reasons).map(([reason, count]): Sample => [{ model, reason }, count]),
      ),
    ),
    metric('counter', 'edgekeep_inference_refused_total', 'Requests that were refused.', each('refused')),
    metric('counter', 'edgekeep_inference_failed_total', 'Requests on which the model failed.', each('failed')),
  ];
}

function ofProcess(missingWalls: readonly string[] | undefined): readonly string[] {
  return [
    metric(
      'gauge',
      'edgekeep_guard_walls_missing',
      'Walls around guards that this machine cannot provide.',
      missingWalls === undefined ? [] : [[{}, missingWalls.length]],
    ),
    metric('gauge', 'process_resident_memory_bytes', 'Resident memory of the agent.', [
      [{}, process.memoryUsage.rss()],
    ]),
    metric('counter', 'process_cpu_seconds_total', 'CPU time of the agent.', [[{}, cpuSeconds()]]),
  ];
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function among(all: readonly string[], present: string, labels: Labels = {}): readonly Sample[] {
  return all.map((state) => [{ ...labels, state }, Number(state === present)]);
}

/** A metric without samples is left out. */
function metric(kind: 'gauge' | 'counter', name: string, help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return '';
  const lines = samples.map(([labels, value]) => `${name}${labelText(labels)} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n${lines.join('')}`;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
