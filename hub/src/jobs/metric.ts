// What monitoring sees of the hub's jobs.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { JobStatus, RunEnded } from './scheduler.ts';

interface Watched {
  /** The jobs when the metrics are read. */
  readonly list: () => readonly JobStatus[];
  /** Whether this node does the work that one node does for all. */
  readonly leads: () => boolean;
}

/** Registers the metrics; call the result after each run. */
export function registerJobMetrics(registry: Registry, { list, leads }: Watched): RunEnded {
  const registers = [registry];
  const runs = new Counter({
    name: 'edgekeep_job_runs_total',
    help: 'Runs of recurring work that have ended, by job and outcome (done, failed).',
    labelNames: ['job', 'outcome'],
    registers,
  });
  const seconds = new Histogram({
    name: 'edgekeep_job_seconds',
    help: 'How long a run of recurring work took, by job.',
    labelNames: ['job'],
    buckets: [0.001, 0.01, 0.1, 1, 10, 60],
    registers,
  });
  const inARow = new Gauge({
    name: 'edgekeep_job_failures_in_a_row',
    help: 'Runs of recurring work that failed since its last success, by job.',
    labelNames: ['job'],
    registers: [],
    collect() {
      for (const { name, failuresInARow } of list()) this.set({ job: name }, failuresInARow);
    },
  });
  registry.registerMetric(inARow);
  registry.registerMetric(
    new Gauge({
      name: 'edgekeep_leads',
      help: '1 on the node that does the work that one node does for all, 0 on the others.',
      registers: [],
      collect() {
        this.set(leads() ? 1 : 0);
      },
    }),
  );
  return ({ name }, took, error) => {
    runs.inc({ job: name, outcome: error === undefined ? 'done' : 'failed' });
    seconds.observe({ job: name }, took);
  };
}
