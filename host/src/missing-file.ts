// The one failure of reading a file that means "there is none". Every other one (no permission, a broken disk, too many open files) must reach
// somebody: taken for "none", it hides a key, a root or an order that is there.

/** Whether the error says that nothing is at the path. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** What `reading` gives, or `otherwise` when nothing is at its path. Every other failure is thrown. */
export async function orIfMissing<T, Otherwise>(reading: Promise<T>, otherwise: Otherwise): Promise<T | Otherwise> {
  try {
    return await reading;
  } catch (error) {
    if (isMissing(error)) return otherwise;
    throw error;
  }
}
