// The one read failure that means "the file does not exist". Every other failure (no permission, a broken disk, too many open files) must
// be reported: treated as "does not exist", it would hide an existing key, root or order.
import { stat } from 'node:fs/promises';

/** Whether the error means that the path does not exist. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** Whether there is something at this path. */
export async function exists(path: string): Promise<boolean> {
  return (await orIfMissing(stat(path), undefined)) !== undefined;
}

/** The result of `reading`, or `otherwise` when its path does not exist. Every other failure is thrown. */
export async function orIfMissing<T, Otherwise>(reading: Promise<T>, otherwise: Otherwise): Promise<T | Otherwise> {
  try {
    return await reading;
  } catch (error) {
    if (isMissing(error)) return otherwise;
    throw error;
  }
}
