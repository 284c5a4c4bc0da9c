// A store with registered devices and a certificate each, for tests and measurements of revocation. The certificates are rows only: no code
// here reads their bytes.
import { createHash } from 'node:crypto';
import { inBatches } from '../store/batches.ts';
import type { Database } from '../store/database.ts';

// Under SQLite's bound on parameters of one statement, with thirteen columns.
const PART_MAX = 50;

export const serialOf = (at: number): string =>
  createHash('sha256').update(`serial ${at}`).digest('hex').slice(0, 31).padStart(32, '4');
export const deviceOf = (at: number): string => `press-${at}`;
export const digestOf = (at: number): string => createHash('sha256').update(`certificate ${at}`).digest('hex');

export interface FleetOrder {
  readonly count: number;
  readonly notAfterMs: number;
  /** Id of the issuing CA. */
  readonly issuer?: string;
  /** The first ones, up to this number, are revoked already. */
  readonly revoked?: number;
}

/** Devices 0 to count-1, active, each with one certificate. */
export async function seedFleet(
  database: Database,
  { count, notAfterMs, revoked = 0, issuer = '' }: FleetOrder,
): Promise<void> {
  const numbers = Array.from({ length: count }, (_, at) => at);
  await database.write(async (trx) => {
    await inBatches(numbers, async (part) => {
      for (let from = 0; from < part.length; from += PART_MAX) {
        const some = part.slice(from, from + PART_MAX);
        await trx.insertInto('device').values(some.map(deviceRow)).execute();
        const certificates = some.map((at) => ({ ...certificateRow(at, notAfterMs, at < revoked), issuer }));
        await trx.insertInto('certificate').values(certificates).execute();
      }
      return [];
    });
  });
}

function deviceRow(at: number) {
  return {
    id: deviceOf(at),
    tier: 'software',
    state: 'active',
    state_reason: 'a test',
    identity: JSON.stringify({ kind: 'est' }),
    root_sha256: createHash('sha256').update(`root ${at}`).digest('hex'),
    witness_key: '',
    enrolled_at: 0,
    seen_at: 0,
    reset_count: -1,
    appraisal: null,
    appraised_at: null,
    counts: null,
  } as const;
}

function certificateRow(at: number, notAfterMs: number, revoked: boolean) {
  return {
    serial: serialOf(at),
    device_id: deviceOf(at),
    sha256: digestOf(at),
    der: new Uint8Array(0),
    not_before: 0,
    not_after: notAfterMs,
    revoked_at: revoked ? 1_000 + at : null,
    revocation_reason: revoked ? 'keyCompromise' : null,
  };
}
