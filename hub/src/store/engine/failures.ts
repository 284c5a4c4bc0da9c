// What an error of an engine says, by its codes: result codes of SQLite (`errcode`), SQLSTATE of PostgreSQL.

/** A table or column is gone, or a value is none that can be read: the content of the store is the cause. */
export function isOfContent(error: unknown): boolean {
  // SQLITE_ERROR, SQLITE_TOOBIG.
  const code = sqliteCode(error);
  if (code !== undefined) return code === 1 || code === 18;
  // Data exceptions, names and types that are others, and limits; no missing right.
  return /^(?:22|42(?!501)|54)/.test(sqlState(error) ?? '');
}

/** The engine itself failed: the file, the server, or the way to it. */
export function isOfEngine(error: unknown): boolean {
  if (sqliteCode(error) !== undefined || sqlState(error) !== undefined) return true;
  // Of the connection: `ECONNREFUSED`, `ENOENT` of a socket, and what the client says where it ended.
  if (!(error instanceof Error)) return false;
  return (
    'syscall' in error || /^(?:Connection terminated|timeout expired|The server does not support)/.test(error.message)
  );
}

/** Pages of its files are broken. */
export function isDamage(error: unknown): boolean {
  // SQLITE_CORRUPT.
  return sqliteCode(error) === 11 || /^XX00[12]$/.test(sqlState(error) ?? '');
}

/** A row would refer to one that is not there. */
export function isReference(error: unknown): boolean {
  // SQLITE_CONSTRAINT_FOREIGNKEY.
  return sqliteCode(error) === 787 || sqlState(error) === '23503';
}

function sqliteCode(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : undefined;
}

/** Other errors have a `code` too: those of the server have a severity beside it. */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error && 'severity' in error && 'code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
