import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { groupTerms } from '@edgekeep/wire/api/enrollment-group';
import { CompiledQuery, type KyselyPlugin } from 'kysely';
import { z } from 'zod';
import { sha256Hex } from '@edgekeep/core/digest';
import { HubError } from '../common/error.ts';
import { Database } from '../store/database.ts';
import { storePlace, testEngine } from '../store/testing-place.ts';
import type { EnrollmentGroupRow } from '../store/tables/enrollment.ts';
import { type EnrollmentProof, matchEnrollmentGroup, mayBeVouchedFor } from './match.ts';

const filler = 1_000;
let folder: string;
let database: Database;

const authority = (name: string) => sha256Hex(`authority ${name}`);

function group(
  name: string,
  kind: EnrollmentGroupRow['kind'],
  changes: Partial<EnrollmentGroupRow> = {},
): EnrollmentGroupRow {
  const anchored = kind === 'ca' || kind === 'endorsement-root';
  return {
    name,
    kind,
    description: '',
    disabled_reason: null,
    terms: JSON.stringify(groupTerms.parse({})),
    anchor_sha256: anchored ? authority(name) : null,
    subject_sha256: anchored ? sha256Hex(`subject ${name}`) : null,
    certificate: null,
    devices: 0,
    devices_most: null,
    created_at: 1,
    ...changes,
  };
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-match-'));
  database = await Database.open(await storePlace(folder));
  const prefix = JSON.stringify(groupTerms.parse({ idPrefix: 'press-', tier: 'tpm' }));
  const groups = [
    group('listed-root', 'manifest'),
    group('listed-idevid', 'manifest'),
    group('by-token', 'token'),
    group('line-ca', 'ca'),
    group('works-ca', 'ca'),
    group('vendor', 'endorsement-root'),
    group('off', 'manifest', { disabled_reason: 'a recall' }),
    group('full', 'ca', { devices: 5, devices_most: 5 }),
    group('press', 'endorsement-root', { terms: prefix }),
    ...Array.from({ length: filler }, (_, at) => group(`filler-${at}`, at % 2 === 0 ? 'ca' : 'endorsement-root')),
  ];
  const listing = (
    kind: 'root' | 'idevid',
    name: string,
    enrollmentGroup: string | null,
    id: string | null = null,
  ) => ({
    kind,
    sha256: sha256Hex(name),
    enrolment_group: enrollmentGroup,
    device_id: id,
  });
  await database.write(async (trx) => {
    for (const row of groups) await trx.insertInto('enrolment_group').values(row).execute();
    const rows = [
      listing('root', 'root-1', 'listed-root'),
      listing('idevid', 'idevid-1', 'listed-idevid'),
      listing('root', 'recalled', 'off'),
      listing('root', 'root-2', 'listed-root', 'press-2'),
      listing('idevid', 'idevid-3', null, 'press-3'),
      ...Array.from({ length: 400 }, (_, at) => listing('root', `filler ${at}`, 'listed-root', `filler-${at}`)),
    ];
    await trx.insertInto('enrolment_listing').values(rows).execute();
  });
});
after(async () => {
  await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function proof(changes: Partial<EnrollmentProof> = {}): EnrollmentProof {
  return {
    deviceId: 'press-1',
    tier: 'tpm',
    rootSha256: sha256Hex('nobody'),
    endorsementAuthorities: [],
    idevidAuthorities: [],
    idevidDigests: [],
    tokenGroup: undefined,
    anchorGroups: [],
    ...changes,
  };
}

const everything = {
  rootSha256: sha256Hex('root-1'),
  idevidDigests: [sha256Hex('idevid-1')],
  tokenGroup: 'by-token',
  idevidAuthorities: [authority('line-ca'), authority('works-ca')],
  endorsementAuthorities: [authority('unknown'), authority('vendor')],
};

test('the most specific group speaks: manifest, token, the nearest CA, the vendor', async () => {
  const order = [
    ['listed-idevid', {}],
    ['listed-root', { idevidDigests: [] }],
    ['by-token', { rootSha256: sha256Hex('nobody') }],
    ['line-ca', { tokenGroup: undefined }],
    ['works-ca', { idevidAuthorities: [authority('works-ca')] }],
    ['vendor', { idevidAuthorities: [] }],
    [undefined, { endorsementAuthorities: [] }],
  ] as const;
  let shown: Partial<EnrollmentProof> = everything;
  for (const [expected, less] of order) {
    shown = { ...shown, ...less };
    assert.equal((await matchEnrollmentGroup(database.read, proof(shown)))?.name, expected);
  }
});

async function refusal(changes: Partial<EnrollmentProof>): Promise<string> {
  const error: unknown = await matchEnrollmentGroup(database.read, proof(changes)).then(
    (found) => assert.fail(`${found?.name} took it`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof HubError, String(error));
  return `${error.reasons[0]?.code}: ${error.message}`;
}

// SECURITY.md: HUB-17
test('a group that cannot take the device refuses by name, and no other takes the device instead', async () => {
  const vendor = { endorsementAuthorities: [authority('vendor')] };
  assert.match(
    await refusal({ ...vendor, rootSha256: sha256Hex('recalled') }),
    /group-disabled.* off is disabled: a recall/,
  );
  assert.match(await refusal({ ...vendor, idevidAuthorities: [authority('full')] }), /group-full.* full has reached/);
  const press = { endorsementAuthorities: [authority('press')] };
  assert.match(await refusal({ ...press, deviceId: 'oven-1' }), /device-id-not-allowed.* press begin with press-/);
  assert.match(await refusal({ ...press, tier: 'software' }), /tier-not-allowed/);
});

test('a group whose certificate the path ends at must exist and be open, also for a listed device', async () => {
  const listed = { rootSha256: sha256Hex('root-1') };
  assert.match(await refusal({ ...listed, anchorGroups: ['off'] }), /group-disabled/);
  assert.match(await refusal({ ...listed, anchorGroups: ['deleted'] }), /group-changed/);
});

// SECURITY.md: HUB-15
test('an id that is listed for one device is refused to every other, and that device every other id', async () => {
  assert.match(await refusal({ rootSha256: sha256Hex('root-2') }), /root-of-trust-reserved.*press-2/);
  assert.match(await refusal({ deviceId: 'press-2' }), /device-id-reserved/);
  assert.match(await refusal({ deviceId: 'press-3' }), /device-id-reserved/);
  assert.match(await refusal({ idevidDigests: [sha256Hex('idevid-3')] }), /root-of-trust-reserved.*press-3/);
  const own = proof({ deviceId: 'press-3', idevidDigests: [sha256Hex('other form'), sha256Hex('idevid-3')] });
  assert.equal(await matchEnrollmentGroup(database.read, own), undefined);
});

test('a stranger is looked at only where a group could speak for it', async () => {
  assert.equal(await mayBeVouchedFor(database.read, { tier: 'tpm', rootSha256: sha256Hex('nobody') }), true);
  const none = await Database.open(await storePlace(folder, 'empty.sqlite'));
  assert.equal(await mayBeVouchedFor(none.read, { tier: 'tpm', rootSha256: sha256Hex('nobody') }), false);
  await none[Symbol.asyncDispose]();
});

// PostgreSQL plans a small table without its indexes.
const onSqlite = { skip: testEngine === 'postgres' };

test(
  'with a thousand groups, none is read that the device does not name: every question has its index',
  onSqlite,
  async () => {
    const asked: CompiledQuery[] = [];
    const listen: KyselyPlugin = {
      transformQuery: ({ node, queryId }) => {
        asked.push(database.read.getExecutor().compileQuery(node, queryId));
        return node;
      },
      transformResult: async ({ result }) => result,
    };
    await matchEnrollmentGroup(database.read.withPlugin(listen), proof(everything));
    assert.ok(asked.length >= 5, `${asked.length} questions`);
    for (const { sql, parameters } of asked) {
      const { rows } = await database.read.executeQuery(
        CompiledQuery.raw(`explain query plan ${sql}`, [...parameters]),
      );
      for (const row of rows)
        assert.match(z.object({ detail: z.string() }).parse(row).detail, /^SEARCH .* USING /, sql);
    }
  },
);
