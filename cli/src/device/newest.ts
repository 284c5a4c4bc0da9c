// The newest of many: a device that renews its leases and certificates has hundreds.

/** The first ones as rows, and a row that says how many more there are. */
export function newest<T>(
  all: readonly T[],
  shown: number,
  rowOf: (each: T) => readonly string[],
): readonly (readonly string[])[] {
  const rows = all.slice(0, shown).map(rowOf);
  const more = all.length - rows.length;
  return more === 0 ? rows : [...rows, ['', `${more} more: --all shows them`]];
}
