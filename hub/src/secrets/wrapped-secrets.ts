// What a roll-over of the platform key asks of each subject that keeps secrets wrapped under it.
import { type RawBuilder, sql } from 'kysely';
import type { PlatformKey } from './platform-key.ts';
import { encodeKeyVersion, keyVersionLength } from './wrap.ts';

/** `Read` and `Write` are the store and a transaction of it. */
export interface WrappedSecrets<Read, Write> {
  /** The number of those that are wrapped under an older version of the platform key than this one. */
  countOlder(db: Read, newest: number): Promise<number>;
  /** Wraps at most `max` of them under the newest version. Returns their number. */
  rewrapOlder(trx: Write, platformKey: PlatformKey, max: number): Promise<number>;
}

/** SQL for: not wrapped under this version. */
export function isOlder(column: 'wrapped_key' | 'wrapped_secret', newest: number): RawBuilder<boolean> {
  return sql<boolean>`substr(${sql.ref(column)}, 1, ${sql.lit(keyVersionLength)}) <> ${encodeKeyVersion(newest)}`;
}
