// What devices report about their models (spec/agent.md, "Failures"): stored for operators, an alert when several devices refuse one
// release, and an operator's order to try again. A report is a claim of its device: it decides nothing about keys.
import { counted } from '@edgekeep/core/counted';
import type { ModelReport, ModelRetry, ReportedFault } from '@edgekeep/wire/api/model-report';
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { DeviceModelRow } from '../store/tables/model.ts';
import type { Tables } from '../store/schema.ts';

// The number named in an alert; `edgekeep model show` has all of them.
const DEVICES_NAMED_MAX = 16;

interface ModelsReport {
  readonly deviceId: string;
  readonly models: readonly ModelReport[];
  readonly nowMs: number;
}

/** Stores a device's report, complete each time; unchanged parts are not written. */
export async function recordModels(
  trx: WriteTransaction,
  { deviceId, models, nowMs }: ModelsReport,
  settings: { readonly alerts: { readonly devicesRefusingRelease: number } },
): Promise<void> {
  const known = new Map((await modelsOf(trx, [deviceId])).map((row) => [row.model, row]));
  const reported = new Set(models.map(({ model }) => model));
  for (const report of models) {
    const before = known.get(report.model);
    const row = rowOf(deviceId, report, before, nowMs);
    if (before !== undefined && isSame(before, row)) continue;
    await trx.deleteFrom('device_model').where('device_id', '=', deviceId).where('model', '=', row.model).execute();
    await trx.insertInto('device_model').values(row).execute();
    await weigh(trx, before, row, { nowMs, minDevices: settings.alerts.devicesRefusingRelease });
  }
  for (const before of known.values()) {
    if (reported.has(before.model)) continue;
    await trx.deleteFrom('device_model').where('device_id', '=', deviceId).where('model', '=', before.model).execute();
    await weigh(trx, before, undefined, { nowMs, minDevices: settings.alerts.devicesRefusingRelease });
  }
}

/** Orders to try again that the device has not followed yet. */
export async function retriesFor(db: Kysely<Tables>, deviceId: string): Promise<readonly ModelRetry[]> {
  const rows = await db
    .selectFrom('device_model')
    .select(['model', 'retry as number'])
    .where('device_id', '=', deviceId)
    .whereRef('retry', '>', 'retried')
    .orderBy('model')
    .execute();
  return rows;
}

/**
 * Orders a device to try a model again; the device receives the order at its next check-in. Throws `not-found` for a model that it does not
 * report.
 */
export async function orderRetry(
  database: Database,
  { deviceId, model, actor, nowMs }: { deviceId: string; model: string; actor: string; nowMs: number },
): Promise<{ readonly deviceId: string; readonly model: string; readonly number: number }> {
  return database.write(async (trx) => {
    const row = (await modelsOf(trx, [deviceId])).find((each) => each.model === model);
    if (row === undefined)
      throw new HubError(
        'not-found',
        `${deviceId} reports no model ${model}: \`edgekeep device show\` shows its models`,
      );
    const number = Math.max(row.retry, row.retried) + 1;
    await trx
      .updateTable('device_model')
      .set({ retry: number })
      .where('device_id', '=', deviceId)
      .where('model', '=', model)
      .execute();
    const data = { model, number, ...(row.fault_code === null ? {} : { fault: row.fault_code }) };
    await appendEntry(trx, { at: nowMs, kind: 'model-retry-ordered', actor, subject: `device:${deviceId}`, data });
    return { deviceId, model, number };
  });
}

/** The models of these devices, by device and model. */
export async function modelsOf(db: Kysely<Tables>, deviceIds: readonly string[]): Promise<readonly DeviceModelRow[]> {
  if (deviceIds.length === 0) return [];
  return db
    .selectFrom('device_model')
    .selectAll()
    .where('device_id', 'in', deviceIds)
    .orderBy('device_id')
    .orderBy('model')
    .execute();
}

function rowOf(
  deviceId: string,
  { model, state, version, manifestDigest, fault, retried }: ModelReport,
  before: DeviceModelRow | undefined,
  nowMs: number,
): DeviceModelRow {
  return {
    device_id: deviceId,
    model,
    state,
    version,
    manifest_digest: manifestDigest,
    ...faultColumns(fault, before, nowMs),
    // A device whose state was made again has followed no order, and a number that it makes up must not block new orders.
    retry: before?.retry ?? 0,
    retried: Math.min(retried, before?.retry ?? 0),
    changed_at: nowMs,
  };
}

function faultColumns(fault: ReportedFault | null, before: DeviceModelRow | undefined, nowMs: number) {
  const isSame =
    fault !== null &&
    before?.fault_digest === fault.manifestDigest &&
    before.fault_code === fault.code &&
    before.fault_place === fault.place;
  return {
    fault_version: fault?.version ?? null,
    fault_digest: fault?.manifestDigest ?? null,
    fault_code: fault?.code ?? null,
    fault_place: fault?.place ?? null,
    fault_message: fault?.message ?? null,
    fault_attempts: fault?.attempts ?? null,
    fault_kind: fault === null ? null : fault.final ? ('final' as const) : ('passing' as const),
    fault_since: fault === null ? null : isSame ? before.fault_since : nowMs,
  };
}

function isSame(a: DeviceModelRow, b: DeviceModelRow): boolean {
  const { changed_at: _, ...before } = a;
  const { changed_at: __, ...now } = b;
  return Object.entries(now).every(([name, value]) =>
    Object.entries(before).some(([n, v]) => n === name && v === value),
  );
}

// A device refuses a release when its fault with it is final. The alert is raised when one more device refuses, and settles when none does.
async function weigh(
  trx: WriteTransaction,
  before: DeviceModelRow | undefined,
  now: DeviceModelRow | undefined,
  { nowMs, minDevices }: { readonly nowMs: number; readonly minDevices: number },
): Promise<void> {
  const was = refusedRelease(before);
  const is = refusedRelease(now);
  if (was === is) return;
  if (now !== undefined && is !== undefined) {
    const rows = await refusing(trx, now.model, now.fault_digest ?? '');
    if (rows.length >= minDevices) {
      await raiseAlert(trx, {
        kind: 'release-refused-by-devices',
        severity: 'high',
        subject: { part: `model:${now.model}` },
        detail: now.fault_digest ?? '',
        title: `${counted(rows.length, 'device')} cannot use ${now.model} ${now.fault_version ?? ''}: ${now.fault_code ?? ''}`,
        data: {
          version: now.fault_version ?? '',
          devices: rows.slice(0, DEVICES_NAMED_MAX).map(({ device_id: id }) => id),
          causes: [...new Set(rows.map(({ fault_code: code, fault_place: place }) => `${code} (${place})`))],
          refusing: rows.length,
        },
        nowMs,
      });
    }
  }
  if (before !== undefined && was !== undefined && (await refusing(trx, before.model, was)).length === 0) {
    await settleAlert(trx, {
      kind: 'release-refused-by-devices',
      subject: { part: `model:${before.model}` },
      detail: was,
      note: 'no device refuses it any more',
      nowMs,
    });
  }
}

function refusedRelease(row: DeviceModelRow | undefined): string | undefined {
  return row?.fault_kind === 'final' ? (row.fault_digest ?? undefined) : undefined;
}

// Counted up to a limit: above it an alert says "many".
const REFUSING_COUNTED_MAX = 10_000;

async function refusing(trx: WriteTransaction, model: string, digest: string) {
  return trx
    .selectFrom('device_model')
    .select(['device_id', 'fault_code', 'fault_place'])
    .where('model', '=', model)
    .where('fault_digest', '=', digest)
    .where('fault_kind', '=', 'final')
    .orderBy('device_id')
    .limit(REFUSING_COUNTED_MAX)
    .execute();
}
