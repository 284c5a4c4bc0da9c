// Import (spec/registry.md, "Import"): a stream of lines, each an expected device or a blocked root of trust. Lines are taken in batches,
// each one transaction with its audit entry; an invalid line is refused alone. Repeating an import changes nothing.
import { renameFormer } from '@edgekeep/core/former-names';
import { parseJson, parseValue } from '@edgekeep/core/json';
import { CoreError } from '@edgekeep/core/error';
import {
  type BlockedLine,
  type ExpectedLine,
  formerLineMembers,
  importLine,
  type ImportLine,
  type ImportReport,
  type ListedLine,
} from '@edgekeep/wire/api/registry';
import { sha256Hex } from '@edgekeep/core/digest';
import { appendEntry } from '../audit/append.ts';
import { z } from 'zod';
import { HubError } from '../common/error.ts';
import { hubNamesOf, reservedText } from '../store/hub-names.ts';
import { noteFormerName } from '../common/former-names.ts';
import { inBatches } from '../store/batches.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import { setSite } from './device-site.ts';
import { addMembers } from './groups.ts';
import { Listing } from './import-listing.ts';
import { linesOf } from './lines.ts';

/** One call; a larger fleet is imported in several calls. */
const IMPORT_LINES_MAX = 200_000;
// A batch holds the store's one writer for some tens of milliseconds.
const batchLines = 500;
const PROBLEMS_SHOWN_MAX = 100;

interface Numbered<T> {
  readonly line: number;
  readonly value: T;
}

interface Batch {
  readonly expected: readonly Numbered<ExpectedLine>[];
  readonly listed: readonly Numbered<ListedLine>[];
  readonly blocked: readonly Numbered<BlockedLine>[];
  /** SHA-256 of the batch's lines as they arrived, for the audit entry. */
  readonly sha256: string;
}

type Problem = ImportReport['problems'][number];

/** The facts of devices that one person does not change alone. */
export interface DecidingFacts {
  readonly groups: ReadonlySet<string>;
  readonly tags: boolean;
  readonly sites: boolean;
}

interface ImportOrder {
  readonly actor: string;
  readonly nowMs: number;
  /** Asked before each batch: a rule may come while lines arrive. Left out, or undefined: one person is enough. */
  readonly deciding?: () => Promise<DecidingFacts | undefined>;
}

export async function importDevices(
  database: Database,
  source: AsyncIterable<Uint8Array>,
  order: ImportOrder,
): Promise<ImportReport> {
  const report = { lines: 0, expected: 0, listed: 0, blocked: 0, rejected: 0 };
  const problems: Problem[] = [];
  const take = async (lines: readonly Uint8Array[], first: number) => {
    const { batch, wrong } = readBatch(lines, first);
    const deciding = await order.deciding?.();
    const taken = await database.write((trx) => writeBatch(trx, batch, { ...order, deciding }));
    report.expected += taken.expected;
    report.listed += taken.listed;
    report.blocked += taken.blocked;
    const all = [...wrong, ...taken.problems];
    report.rejected += all.length;
    problems.push(...all.slice(0, PROBLEMS_SHOWN_MAX - problems.length));
  };
  let waiting: Uint8Array[] = [];
  for await (const line of linesOf(source)) {
    report.lines += 1;
    if (report.lines > IMPORT_LINES_MAX) {
      throw new HubError(
        'payload-too-large',
        `more than ${IMPORT_LINES_MAX} lines: the ones before are imported; send the rest in another call`,
      );
    }
    waiting.push(line);
    if (waiting.length === batchLines) {
      await take(waiting, report.lines - waiting.length + 1);
      waiting = [];
    }
  }
  if (waiting.length > 0) await take(waiting, report.lines - waiting.length + 1);
  return { ...report, problems: problems.toSorted((a, b) => a.line - b.line) };
}

function readBatch(lines: readonly Uint8Array[], first: number): { batch: Batch; wrong: readonly Problem[] } {
  const expected: Numbered<ExpectedLine>[] = [];
  const listed: Numbered<ListedLine>[] = [];
  const blocked: Numbered<BlockedLine>[] = [];
  const wrong: Problem[] = [];
  for (const [at, bytes] of lines.entries()) {
    const line = first + at;
    if (bytes.every((byte) => byte === 0x20)) continue;
    try {
      const value = readLine(bytes);
      if ('block' in value) blocked.push({ line, value });
      else if ('id' in value) expected.push({ line, value });
      else listed.push({ line, value });
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      // The field and its rule: the number of the line is beside them.
      wrong.push({ line, message: error.message.replace(/^line(?: at|:) /, '') });
    }
  }
  return {
    batch: { expected, listed, blocked, sha256: sha256Hex(Buffer.concat(lines.flatMap((each) => [each, newLine]))) },
    wrong,
  };
}

// Made once: making a schema takes longer than reading a line with it.
const anyValue = z.unknown();

// With both spellings of one member it is refused: the former one is no valid member of a line.
function readLine(bytes: Uint8Array): ImportLine {
  const { value, found } = renameFormer(parseJson(bytes, anyValue, 'line'), formerLineMembers);
  for (const name of found) noteFormerName(name);
  return parseValue(value, importLine, 'line');
}

const newLine = new Uint8Array([0x0a]);

async function writeBatch(
  trx: WriteTransaction,
  { expected, listed, blocked, sha256 }: Batch,
  { actor, nowMs, deciding }: Omit<ImportOrder, 'deciding'> & { readonly deciding: DecidingFacts | undefined },
): Promise<{ expected: number; listed: number; blocked: number; problems: readonly Problem[] }> {
  const known = await factsAbout(trx, expected);
  const listing = await Listing.read(
    trx,
    [...expected, ...listed].map(({ value }) => value),
  );
  const problems: Problem[] = [];
  const good: ExpectedLine[] = [];
  for (const { line, value } of expected) {
    const message = problemWith(value, known) ?? problemAlone(value, known, deciding) ?? listing.add(value);
    if (message !== undefined) {
      problems.push({ line, message });
      continue;
    }
    // Later lines of this batch must agree with this one.
    if (value.rootSha256 !== undefined) {
      known.idOfRoot.set(value.rootSha256, value.id);
      known.rootOfId.set(value.id, value.rootSha256);
    }
    good.push(value);
  }
  let listedCount = 0;
  for (const { line, value } of listed) {
    const message = listing.add(value);
    if (message === undefined) listedCount += 1;
    else problems.push({ line, message });
  }
  await writeExpected(trx, good, nowMs);
  await listing.write(trx);
  await inBatches(blocked, async (some) => {
    const rows = some.map(({ value }) => ({ root_sha256: value.block, reason: value.reason, blocked_at: nowMs }));
    await trx
      .insertInto('blocked_root')
      .values(rows)
      .onConflict((conflict) =>
        conflict.column('root_sha256').doUpdateSet((q) => ({ reason: q.ref('excluded.reason') })),
      )
      .execute();
    return [];
  });
  const counts = { expected: good.length, listed: listedCount, blocked: blocked.length };
  if (good.length + listedCount + blocked.length > 0) {
    const data = { ...counts, rejected: problems.length, sha256 };
    await appendEntry(trx, { at: nowMs, kind: 'devices-imported', actor, subject: 'fleet', data });
  }
  return { ...counts, problems };
}

interface Facts {
  readonly rootOfId: Map<string, string>;
  readonly idOfRoot: Map<string, string>;
  /** Groups whose members are named. */
  readonly groups: ReadonlySet<string>;
  readonly sites: ReadonlySet<string>;
  readonly hubNames: readonly string[];
  /** What the ids of the batch have already: each group, tag and site, as `hasOf` writes it. */
  readonly has: ReadonlySet<string>;
}

const hasOf = (id: string, kind: 'group' | 'site' | 'tag', ...values: readonly string[]) =>
  JSON.stringify([id, kind, ...values]);

// What the store has about the ids and roots of trust of a batch: devices, and those that were expected before.
async function factsAbout(trx: WriteTransaction, lines: readonly Numbered<ExpectedLine>[]): Promise<Facts> {
  const ids = lines.map(({ value }) => value.id);
  const roots = lines.flatMap(({ value }) => value.rootSha256 ?? []);
  const rows = [
    ...(await inBatches(ids, async (some) =>
      trx
        .selectFrom('expected_device')
        .select(['id', 'root_sha256'])
        .where('id', 'in', some)
        .union(trx.selectFrom('device').select(['id', 'root_sha256']).where('id', 'in', some))
        .execute(),
    )),
    ...(await inBatches(roots, async (some) =>
      trx
        .selectFrom('expected_device')
        .select(['id', 'root_sha256'])
        .where('root_sha256', 'in', some)
        .union(trx.selectFrom('device').select(['id', 'root_sha256']).where('root_sha256', 'in', some))
        .execute(),
    )),
  ];
  const facts = { rootOfId: new Map<string, string>(), idOfRoot: new Map<string, string>() };
  for (const { id, root_sha256: root } of rows) {
    if (root === null) continue;
    facts.rootOfId.set(id, root);
    facts.idOfRoot.set(root, id);
  }
  const groups = await trx.selectFrom('device_group').select('name').where('filter', 'is', null).execute();
  const sites = await trx.selectFrom('site').select('name').execute();
  return {
    ...facts,
    groups: new Set(groups.map(({ name }) => name)),
    sites: new Set(sites.map(({ name }) => name)),
    hubNames: await hubNamesOf(trx),
    has: new Set(await hadBy(trx, ids)),
  };
}

// Groups, tags and sites of these ids. A device is where its own row says; one that has not enrolled, where it is expected.
async function hadBy(trx: WriteTransaction, ids: readonly string[]): Promise<readonly string[]> {
  const groups = await inBatches(ids, (some) =>
    trx.selectFrom('device_group_member').selectAll().where('device_id', 'in', some).execute(),
  );
  const tags = await inBatches(ids, (some) =>
    trx.selectFrom('device_tag').selectAll().where('device_id', 'in', some).execute(),
  );
  const expected = await inBatches(ids, (some) =>
    trx.selectFrom('expected_device').select(['id', 'site']).where('id', 'in', some).execute(),
  );
  const enrolled = await inBatches(ids, (some) =>
    trx.selectFrom('device').select(['id', 'site']).where('id', 'in', some).execute(),
  );
  const sites = new Map([...expected, ...enrolled].map(({ id, site }) => [id, site]));
  return [
    ...groups.map(({ device_id: id, group_name: name }) => hasOf(id, 'group', name)),
    ...tags.map(({ device_id: id, key, value }) => hasOf(id, 'tag', key, value)),
    ...[...sites].flatMap(([id, site]) => (site === null ? [] : [hasOf(id, 'site', site)])),
  ];
}

function problemWith({ id, groups, site, rootSha256 }: ExpectedLine, facts: Facts): string | undefined {
  const reserved = reservedText('device', id, facts.hubNames);
  if (reserved !== undefined) return reserved;
  const missing = groups.find((name) => !facts.groups.has(name));
  if (missing !== undefined) return `no group ${missing} with named members: \`edgekeep group create ${missing}\``;
  if (site !== undefined && !facts.sites.has(site)) return `no site ${site}: \`edgekeep site create ${site}\``;
  if (rootSha256 === undefined) return undefined;
  const root = facts.rootOfId.get(id);
  if (root !== undefined && root !== rootSha256) return `${id} has another root of trust: ${root}`;
  const owner = facts.idOfRoot.get(rootSha256);
  return owner === undefined || owner === id ? undefined : `this root of trust belongs to ${owner}`;
}

// An import is a stream, which cannot wait for a second person as other requests do. What a line repeats, it does not change.
function problemAlone(
  { id, groups, tags, site }: ExpectedLine,
  { has }: Pick<Facts, 'has'>,
  deciding: DecidingFacts | undefined,
): string | undefined {
  if (deciding === undefined) return undefined;
  const group = groups.find((name) => deciding.groups.has(name) && !has.has(hasOf(id, 'group', name)));
  if (group !== undefined)
    return `group ${group} decides what its members may do: two people add the device, by \`edgekeep group add\``;
  if (deciding.tags && Object.entries(tags).some((tag) => !has.has(hasOf(id, 'tag', ...tag))))
    return 'tags decide what devices may do: two people set them, by `edgekeep device tag`';
  if (deciding.sites && site !== undefined && !has.has(hasOf(id, 'site', site)))
    return 'sites decide what devices may do: two people move the device, by `edgekeep site assign`';
  return undefined;
}

async function writeExpected(trx: WriteTransaction, lines: readonly ExpectedLine[], nowMs: number): Promise<void> {
  // A statement must not name one row twice; the last line about an id wins.
  const devices = [...new Map(lines.map((line) => [line.id, line])).values()];
  const rowOf = ({ id, rootSha256, site }: ExpectedLine) => ({
    id,
    root_sha256: rootSha256 ?? null,
    imported_at: nowMs,
    site: site ?? null,
  });
  // A line without a root of trust or site does not change what was imported before.
  await inBatches(devices, async (some) => {
    await trx
      .insertInto('expected_device')
      .values(some.map(rowOf))
      .onConflict((conflict) =>
        conflict.column('id').doUpdateSet((q) => ({
          root_sha256: q.fn.coalesce('excluded.root_sha256', 'expected_device.root_sha256'),
          site: q.fn.coalesce('excluded.site', 'expected_device.site'),
        })),
      )
      .execute();
    return [];
  });
  for (const { id, site } of devices) {
    if (site !== undefined) await setSite(trx, id, site);
  }
  const tags = devices.flatMap(({ id, tags: own }) =>
    Object.entries(own).map(([key, value]) => ({ device_id: id, key, value })),
  );
  await inBatches(tags, async (some) => {
    await trx
      .insertInto('device_tag')
      .values(some)
      .onConflict((conflict) =>
        conflict.columns(['device_id', 'key']).doUpdateSet((q) => ({ value: q.ref('excluded.value') })),
      )
      .execute();
    return [];
  });
  const members = devices.flatMap(({ id, groups }) =>
    [...new Set(groups)].map((name) => ({ group_name: name, device_id: id })),
  );
  await addMembers(trx, members);
}
