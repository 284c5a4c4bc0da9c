// The lists of an import (spec/enrollment-groups.md, "Manifests"): digests of roots of trust and of IDevID certificates. Each is in at most
// one enrollment group of the kind `manifest`, and under at most one id.
import type { ExpectedLine, ListedLine } from '@edgekeep/wire/api/registry';
import { inBatches } from '../store/batches.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { EnrollmentListingRow } from '../store/tables/registry.ts';

type Line = ExpectedLine | ListedLine;

export class Listing {
  readonly #manifests: ReadonlySet<string>;
  readonly #known: Map<string, EnrollmentListingRow>;
  readonly #changed = new Map<string, EnrollmentListingRow>();

  private constructor(manifests: ReadonlySet<string>, known: Map<string, EnrollmentListingRow>) {
    this.#manifests = manifests;
    this.#known = known;
  }

  /** What the store has about these lines. */
  static async read(trx: WriteTransaction, lines: readonly Line[]): Promise<Listing> {
    const wanted = lines.filter((line) => (line.enrollmentGroup ?? line.idevidSha256) !== undefined);
    if (wanted.length === 0) return new Listing(new Set(), new Map());
    const names = [...new Set(wanted.flatMap(({ enrollmentGroup }) => enrollmentGroup ?? []))];
    const manifests = await inBatches(names, async (some) =>
      trx
        .selectFrom('enrolment_group')
        .select('name')
        .where('kind', '=', 'manifest')
        .where('name', 'in', some)
        .execute(),
    );
    const digests = wanted.flatMap(({ rootSha256, idevidSha256 }) => [rootSha256 ?? [], idevidSha256 ?? []].flat());
    const rows = await inBatches(digests, async (some) =>
      trx
        .selectFrom('enrolment_listing')
        .selectAll()
        .where('kind', 'in', ['root', 'idevid'])
        .where('sha256', 'in', some)
        .execute(),
    );
    return new Listing(new Set(manifests.map(({ name }) => name)), new Map(rows.map((row) => [keyOf(row), row])));
  }

  /** Takes a line, or returns why not: then nothing of it is listed. A line without a group lists at most its IDevID. */
  add(line: Line): string | undefined {
    const { enrollmentGroup: group, rootSha256, idevidSha256 } = line;
    if (group !== undefined && !this.#manifests.has(group))
      return `no enrollment group ${group} of the kind manifest: \`edgekeep enrollment-group create ${group} --kind manifest\``;
    const id = 'id' in line ? line.id : null;
    const digests = [
      ['root', group === undefined ? undefined : rootSha256] as const,
      ['idevid', idevidSha256] as const,
    ];
    const rows: EnrollmentListingRow[] = [];
    for (const [kind, sha256] of digests) {
      if (sha256 === undefined) continue;
      const before = this.#known.get(keyOf({ kind, sha256 }));
      const named = { group: before?.enrolment_group ?? null, id: before?.device_id ?? null };
      if (group !== undefined && named.group !== null && named.group !== group)
        return `${sha256} is listed by the enrollment group ${named.group}`;
      if (id !== null && named.id !== null && named.id !== id) return `${sha256} is listed as ${named.id}`;
      rows.push({ kind, sha256, enrolment_group: group ?? named.group, device_id: id ?? named.id });
    }
    for (const row of rows) {
      this.#known.set(keyOf(row), row);
      this.#changed.set(keyOf(row), row);
    }
    return undefined;
  }

  async write(trx: WriteTransaction): Promise<void> {
    await inBatches([...this.#changed.values()], async (rows) => {
      await trx
        .insertInto('enrolment_listing')
        .values(rows)
        .onConflict((conflict) =>
          conflict.columns(['kind', 'sha256']).doUpdateSet((q) => ({
            device_id: q.ref('excluded.device_id'),
            enrolment_group: q.ref('excluded.enrolment_group'),
          })),
        )
        .execute();
      return [];
    });
  }
}

/** For an enrollment group that ends. */
export async function forgetListed(trx: WriteTransaction, enrollmentGroup: string): Promise<void> {
  await trx.deleteFrom('enrolment_listing').where('enrolment_group', '=', enrollmentGroup).execute();
}

const keyOf = ({ kind, sha256 }: Pick<EnrollmentListingRow, 'kind' | 'sha256'>) => `${kind} ${sha256}`;
