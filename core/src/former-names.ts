// Names of the previous version. Files that people wrote with them are read for one more version: this file finds the names, and the reader
// warns.

/** Former name to present name; members of a group are spelled with dots: `guard.probeSecondsMax`. */
export type FormerNames = Readonly<Record<string, string>>;

export interface FormerName {
  readonly former: string;
  readonly present: string;
}

export interface Renamed {
  readonly value: unknown;
  /** Names that were found and replaced. */
  readonly found: readonly FormerName[];
  /** Names given in both spellings: it is unclear which of the two values is meant. The value keeps both. */
  readonly doubled: readonly FormerName[];
}

/** Gives the members of a JSON object their present names; returns anything but an object unchanged. */
export function renameFormer(value: unknown, names: FormerNames): Renamed {
  const found: FormerName[] = [];
  const doubled: FormerName[] = [];
  let renamed = value;
  for (const [former, present] of Object.entries(names)) {
    const [from, to] = [former.split('.'), present.split('.')];
    const given = memberAt(renamed, from);
    if (given === undefined) continue;
    if (memberAt(renamed, to) !== undefined) {
      doubled.push({ former, present });
      continue;
    }
    renamed = withMember(withoutMember(renamed, from), to, given);
    found.push({ former, present });
  }
  return { value: renamed, found, doubled };
}

/** The one sentence about a former name. */
export function formerNameText({ former, present }: FormerName): string {
  return `${former} is called ${present} now; the former name works in this version and not in the next`;
}

function isGroup(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function membersOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  return isGroup(value) ? new Map(Object.entries(value)) : undefined;
}

// Nearly every value has no former name, and an import asks for each of its lines: members are read where they are.
function memberAt(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const name of path) {
    if (!isGroup(at) || !Object.hasOwn(at, name)) return undefined;
    at = Reflect.get(at, name);
  }
  return at;
}

function withoutMember(value: unknown, [name, ...rest]: readonly string[]): unknown {
  const members = membersOf(value);
  if (members === undefined || name === undefined) return value;
  const changed = new Map(members);
  const left = rest.length === 0 ? undefined : withoutMember(members.get(name), rest);
  // A group without other members ends with its last one: it may have a former name itself.
  if (left === undefined || membersOf(left)?.size === 0) changed.delete(name);
  else changed.set(name, left);
  return Object.fromEntries(changed);
}

function withMember(value: unknown, [name, ...rest]: readonly string[], member: unknown): unknown {
  if (name === undefined) return member;
  const members = new Map(membersOf(value) ?? []);
  return Object.fromEntries(members.set(name, withMember(members.get(name), rest, member)));
}
