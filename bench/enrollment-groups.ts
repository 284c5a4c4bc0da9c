// Enrollment groups at scale: a manifest of a whole fleet in one import, and how long it takes to find the group of one device among many.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Readable } from 'node:stream';
import { type EnrollmentProof, matchEnrollmentGroup } from '@edgekeep/hub/enrollment/match';
import { createEnrollmentGroup } from '@edgekeep/hub/enrollment/groups';
import { importDevices } from '@edgekeep/hub/registry/import';
import { Database } from '@edgekeep/hub/store/database';
import { groupTerms } from '@edgekeep/wire/api/enrollment-group';
import { type Benchmark, type Harness, percentile } from './harness.ts';

const MATCH_MS_MAX = 5;
const groupCounts = [1, 1_000];
const order = { actor: 'bench', nowMs: 1_800_000_000_000 };
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

export const bench: Benchmark = {
  name: 'enrollment-groups',
  title: 'Enrollment by groups',
  budget: 'the group of a device among 1,000, with 100,000 devices listed, found in less than 5 ms',
  async run(harness) {
    const count = harness.quick ? 10_000 : 100_000;
    await using database = await Database.open(join(harness.scratch, 'hub.sqlite'));
    await makeGroup(database, 'lot', 'manifest');
    const before = performance.now();
    const report = await importDevices(database, Readable.from(lines(count)), order);
    if (report.listed !== count) throw new Error(JSON.stringify(report.problems));
    const seconds = (performance.now() - before) / 1_000;
    harness.figure('import: devices of a manifest, durable and logged', count / seconds, 'devices/s');
    const waits: number[] = [];
    for (const [at, groups] of groupCounts.entries()) {
      for (let number = groupCounts[at - 1] ?? 0; number < groups; number += 1) {
        await makeGroup(database, `vendor-${number}`, 'endorsement-root', sha256(`vendor ${number}`));
      }
      waits.push(await match(harness, database, { count, groups }));
    }
    const worst = Math.max(...waits);
    const text = `the group of a device among ${groupCounts.at(-1)}, with ${count} listed, has a p99 of ${worst.toFixed(2)} ms (below ${MATCH_MS_MAX})`;
    harness.verdict(worst < MATCH_MS_MAX, text);
  },
};

async function makeGroup(
  database: Database,
  name: string,
  kind: 'manifest' | 'endorsement-root',
  authoritySha256?: string,
): Promise<void> {
  const terms = groupTerms.parse({});
  await createEnrollmentGroup(database, { name, kind, description: '', authoritySha256, groups: [], terms, ...order });
}

/** p99 of finding the group of a listed device, and then of a device by its vendor. */
async function match(
  harness: Harness,
  database: Database,
  { count, groups }: { readonly count: number; readonly groups: number },
): Promise<number> {
  const waits: number[] = [];
  for (let round = 0; round < (harness.quick ? 500 : 5_000); round += 1) {
    const listed = round % 2 === 0;
    const proof: EnrollmentProof = {
      deviceId: `device-${round}`,
      tier: 'tpm',
      rootSha256: sha256(listed ? `root ${(round * 7_919) % count}` : `nobody ${round}`),
      endorsementAuthorities: [sha256('intermediate'), sha256(`vendor ${round % groups}`)],
      idevidAuthorities: [],
      idevidDigests: [],
      tokenGroup: undefined,
      anchorGroups: [],
    };
    const before = performance.now();
    const found = await matchEnrollmentGroup(database.read, proof);
    waits.push(performance.now() - before);
    if (found?.kind !== (listed ? 'manifest' : 'endorsement-root')) throw new Error(`round ${round}: ${found?.name}`);
  }
  const p99 = percentile(waits, 0.99);
  harness.figure(`the group of a device among ${groups}: p99`, p99, 'ms');
  return p99;
}

function* lines(count: number): Generator<Buffer> {
  for (let number = 0; number < count; number += 1) {
    yield Buffer.from(`${JSON.stringify({ enrollmentGroup: 'lot', rootSha256: sha256(`root ${number}`) })}\n`);
  }
}
