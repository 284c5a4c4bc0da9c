// The warning about a name of the previous version, for programs: Node's own warning for deprecated things, on standard error.
import { type FormerName, formerNameText, type FormerNames, renameFormer } from '@edgekeep/core/former-names';

const formerNameCode = 'EDGEKEEP_FORMER_NAME';

/** `where` is the file or place that has the name. */
export function warnOfFormerName(where: string, name: FormerName): void {
  process.emitWarning(`${where}: ${formerNameText(name)}`, { type: 'DeprecationWarning', code: formerNameCode });
}

/**
 * Settings by their present names, with a warning for each former one. `refuse` makes the error for a name that is given in both spellings.
 */
export function settingsByPresentNames(
  value: unknown,
  names: FormerNames,
  { where, refuse }: { readonly where: string; readonly refuse: (message: string) => Error },
): unknown {
  const { value: renamed, found, doubled } = renameFormer(value, names);
  const [first] = doubled;
  if (first !== undefined)
    throw refuse(`${where}: ${first.former} and ${first.present} are one setting: leave out ${first.former}`);
  for (const name of found) warnOfFormerName(where, name);
  return renamed;
}
