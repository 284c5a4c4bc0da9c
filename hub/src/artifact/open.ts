// Opens the place where sealed files of models lie, with its jobs and what monitoring sees of it.
import { join } from 'node:path';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Clock } from '../common/clock.ts';
import type { Job, Subject } from '../common/subject.ts';
import { asHub } from '../store/authority.ts';
import type { Database } from '../store/database.ts';
import { ArtifactFaults } from './artifact-faults.ts';
import { ArtifactFolder } from './artifact-folder.ts';
import type { ArtifactStore, OnFault } from './artifact-store.ts';
import { BucketArtifacts } from './bucket-artifacts.ts';
import type { Bucket } from './bucket.ts';
import { artifactCleanUp } from './clean-up.ts';
import { probeBucket } from './probe.ts';

export interface Artifacts extends Subject {
  readonly store: ArtifactStore;
  /** What all nodes share, for other large things; undefined where files lie in the folder. */
  readonly shared: { readonly bucket: Bucket; readonly onFault: OnFault } | undefined;
}

/** Told how each request to the bucket ended. */
export type RequestEnded = (operation: string, outcome: string, seconds: number) => void;

/** Opens the bucket of the settings; undefined where files lie in the folder. */
export type OpenBucket = (ended: RequestEnded) => Promise<{ readonly bucket: Bucket } & Disposable>;

const everyMilliseconds = 300_000;

export async function openArtifacts(
  database: Database,
  folder: string,
  clock: Clock,
  openBucket: OpenBucket | undefined,
): Promise<Artifacts> {
  const metrics = new ArtifactMetrics();
  const faults = new ArtifactFaults(database, clock, metrics.fault);
  if (openBucket === undefined) {
    const store = new ArtifactFolder(join(folder, 'blobs'), faults.onFault);
    return { store, shared: undefined, metrics: (registry) => metrics.register(registry, () => 0) };
  }
  const opened = await openBucket(metrics.ended);
  const { bucket } = opened;
  const store = new BucketArtifacts({ database, bucket, clock }, faults.onFault);
  return {
    store,
    shared: { bucket, onFault: faults.onFault },
    jobs: [bucketProbe(bucket, faults), artifactCleanUp({ database, bucket, clock })],
    metrics: (registry) => metrics.register(registry, () => store.downloads),
    [Symbol.asyncDispose]: async () => opened[Symbol.dispose](),
  };
}

/** On each node: the way to the bucket, the secret and the clock are the node's own. */
function bucketProbe(bucket: Bucket, faults: ArtifactFaults): Job {
  return {
    name: 'artifact-probe',
    summary: 'stores, reads and removes an object in the bucket for models, and raises or settles the alert about it',
    everyMilliseconds,
    runsOn: 'every-node',
    async run() {
      const steps = await probeBucket(bucket);
      const failed = steps.find(({ error }) => error !== undefined)?.error;
      if (failed !== undefined) faults.onFault(failed);
      else await asHub(() => faults.settle());
    },
  };
}

class ArtifactMetrics {
  readonly #faults = new Counter({
    name: 'edgekeep_artifact_faults_total',
    help: 'Failures to store or to serve sealed files of models, by code.',
    labelNames: ['code'],
    registers: [],
  });
  readonly #seconds = new Histogram({
    name: 'edgekeep_artifact_request_seconds',
    help: 'How long requests to the bucket took with their tries, by operation (put, get, delete, list) and outcome.',
    labelNames: ['operation', 'outcome'],
    buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100],
    registers: [],
  });

  readonly fault = (code: string): void => this.#faults.inc({ code });
  readonly ended: RequestEnded = (operation, outcome, seconds) =>
    this.#seconds.observe({ operation, outcome }, seconds);

  register(registry: Registry, downloads: () => number): void {
    registry.registerMetric(this.#faults);
    registry.registerMetric(this.#seconds);
    const running = new Gauge({
      name: 'edgekeep_artifact_downloads',
      help: 'Downloads of sealed files from the bucket that run now.',
      registers: [],
      collect() {
        this.set(downloads());
      },
    });
    registry.registerMetric(running);
  }
}
