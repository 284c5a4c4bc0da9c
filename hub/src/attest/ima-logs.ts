// IMA logs that are longer than evidence carries (spec/evidence.md, "A long IMA log"). The hub keeps the number of entries it has appraised
// and the value of PCR 10 after them. The store has what a quote proved; the connection has what pieces claim before their quote.
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import type { Evidence } from '@edgekeep/core/attest/evidence';
import { followImaLog, imaLogBegin, type ImaLogState } from '@edgekeep/core/attest/ima-log-state';
import { parseHex, toHex } from '@edgekeep/core/bytes';
import type { ImaLogKnown } from '@edgekeep/wire/api/attest';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { HubError } from '../common/error.ts';
import type { ImaPieces } from './ima-pieces.ts';
import type { ImaPoliciesNow } from './ima-policy-store.ts';
import type { WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';
import type { ImaLogRow } from '../store/tables/attest.ts';

/** The limit for all pieces on one connection: the size of a whole log. */
const PIECE_BYTES_MAX = 64 * 1024 * 1024;

/**
 * For a challenge: how much of this device's log is known. The connection keeps it, so that the response counts from there even if other
 * evidence of the same device arrives in between.
 */
export async function knownImaLog(
  db: Kysely<Tables>,
  deviceId: string,
  connection: ImaPieces,
  { state: policyState }: Pick<ImaPoliciesNow, 'state'>,
): Promise<ImaLogKnown | undefined> {
  const [row] = await byDevice(db, { deviceId });
  // Other policies have not seen the beginning: the device sends it again.
  if (row === undefined || row.entries === 0 || row.policy_state !== policyState) return undefined;
  connection.imaLog = { ...endOf(row), bytes: 0, policyState };
  return { entries: row.entries, resetCount: row.reset_count, restartCount: row.restart_count };
}

/**
 * Where the log in this evidence begins; undefined if at its start. Throws `ima-log-start-unknown` for a position that this hub did not
 * replay.
 */
export async function imaStartOf(
  db: Kysely<Tables>,
  deviceId: string,
  evidence: Evidence,
  pieces: ImaPieces | undefined,
  policies: Pick<ImaPoliciesNow, 'state'>,
): Promise<ImaLogState | undefined> {
  if (evidence.kind !== 'tpm' || evidence.imaLogFrom === undefined) return undefined;
  return stateAt(db, deviceId, evidence.imaLogFrom, { pieces, state: policies.state });
}

/** Takes a piece that arrives before a quote. It proves nothing yet and is kept on the connection only. */
export async function takeImaPiece(
  db: Kysely<Tables>,
  connection: ImaPieces,
  deviceId: string | undefined,
  piece: { readonly from: number; readonly log: Uint8Array },
  { state, policies }: ImaPoliciesNow,
): Promise<number> {
  const bytes = (connection.imaLog?.bytes ?? 0) + piece.log.length;
  if (bytes > PIECE_BYTES_MAX) {
    throw new HubError('payload-too-large', `more than ${PIECE_BYTES_MAX} bytes of an IMA log on one connection`);
  }
  const before =
    piece.from === 0 ? imaLogBegin : await stateAt(db, deviceId, piece.from, { pieces: connection, state });
  connection.imaLog = { ...followImaLog(before, piece.log, policies), bytes, policyState: state };
  return connection.imaLog.entries;
}

async function stateAt(
  db: Kysely<Tables>,
  deviceId: string | undefined,
  entries: number,
  { pieces, state }: { readonly pieces: ImaPieces | undefined; readonly state: string },
): Promise<ImaLogState> {
  if (pieces?.imaLog?.entries === entries && pieces.imaLog.policyState === state) return pieces.imaLog;
  if (deviceId !== undefined) {
    const [row] = await byDevice(db, { deviceId });
    const compared = row?.policy_state === state ? row : undefined;
    if (compared?.entries === entries) return endOf(compared);
    if (compared?.start_entries === entries) return startOf(compared);
  }
  const message = `the first ${entries} entries of this IMA log are not known here: send it from its beginning`;
  throw new HubError('ima-log-start-unknown', message);
}

const byDevice = prepared<{ deviceId: string }, ImaLogRow>((db, value) =>
  db.selectFrom('ima_log').selectAll().where('device_id', '=', value('deviceId')),
);

const findings = z.array(z.object({ refused: z.int().min(0), first: z.array(z.string()) }));

function endOf(row: ImaLogRow): ImaLogState {
  const { entries } = row;
  return { entries, value: parseHex(row.value, 'ima_log.value'), findings: findings.parse(JSON.parse(row.findings)) };
}

function startOf(row: ImaLogRow): ImaLogState {
  const value = parseHex(row.start_value, 'ima_log.start_value');
  return { entries: row.start_entries, value, findings: findings.parse(JSON.parse(row.start_findings)) };
}

/** Stores how much of the log a quote by the device proves. */
export async function recordImaLog(
  trx: WriteTransaction,
  deviceId: string,
  { imaLog, resetCount, restartCount }: Pick<Appraisal, 'imaLog' | 'resetCount' | 'restartCount'>,
  policyState: string,
): Promise<void> {
  if (imaLog === undefined) return;
  const boot = { reset_count: resetCount, restart_count: restartCount };
  const { entries, value, start } = imaLog;
  const began = {
    start_entries: start.entries,
    start_value: toHex(start.value),
    start_findings: JSON.stringify(start.findings ?? []),
  };
  const compared = { policy_state: policyState, findings: JSON.stringify(imaLog.findings ?? []) };
  const row = { ...boot, entries, value: toHex(value), ...compared, ...began };
  await trx
    .insertInto('ima_log')
    .values({ device_id: deviceId, ...row })
    .onConflict((conflict) => conflict.column('device_id').doUpdateSet(row))
    .execute();
}
