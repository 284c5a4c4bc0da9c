// What monitoring sees of the hub's jobs.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { JobStatus, RunEnded } from './scheduler.ts';

/** Registers the metrics; call the result after each run. `list` returns the jobs when the metrics are read. */
export function registerJobMetrics(registry: Registry, list: () => readonly JobStatus[]): RunEnded {
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
  return ({ name }, took, error) => {
    runs.inc({ job: name, outcome: error === undefined ? 'done' : 'failed' });
    seconds.observe({ job: name }, took);
  };
}
