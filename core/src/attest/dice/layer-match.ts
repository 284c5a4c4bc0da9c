// Compares the layers of a DICE chain with the expected ones (spec/dice.md, "Layers against reference values"). Each difference is a reason
// that names layer, field, found and expected value.
import { printableInQuotes } from '../../canonical/printable.ts';
import type { DiceLayer } from './chain.ts';
import { flagProblems, noFlags } from './flags.ts';
import { fwidText } from './fwid.ts';
import type { DiceReason, DiceReasonCode } from './reason.ts';
import type { ReferenceLayer } from './reference-layer.ts';

const ALTERNATIVES_SHOWN_MAX = 3;
const NAME_SHOWN_MAX = 80;

/** Empty when every layer has its entry, every entry its layer, and they agree. */
export function matchLayers(layers: readonly DiceLayer[], wanted: readonly ReferenceLayer[]): readonly DiceReason[] {
  const unexpected = layers.filter((layer) => entryFor(layer, wanted) === undefined);
  const missing = wanted.filter((entry) => !layers.some((layer) => isAt(layer, entry)));
  return [
    ...missing.map((entry) =>
      reason(
        'dice-layer-missing',
        entry.layer,
        `${placeOf(entry)} "${printableInQuotes(entry.name, NAME_SHOWN_MAX)}" is not in the chain`,
      ),
    ),
    ...unexpected.map((layer) =>
      reason(
        'dice-layer-unexpected',
        layer.layer,
        `${placeOf(layer)} has firmware ${fwidsText(layer)}; expected no such layer`,
      ),
    ),
    ...layers.flatMap((layer) => {
      const entry = entryFor(layer, wanted);
      return entry === undefined ? [] : differences(layer, entry);
    }),
  ];
}

function entryFor(layer: DiceLayer, wanted: readonly ReferenceLayer[]): ReferenceLayer | undefined {
  return wanted.find((entry) => isAt(layer, entry));
}

function isAt({ layer, index }: DiceLayer, entry: ReferenceLayer): boolean {
  return entry.layer === layer && (entry.index ?? 0) === index;
}

function differences(found: DiceLayer, wanted: ReferenceLayer): readonly DiceReason[] {
  const { layer, tcbInfo } = found;
  const place = `${placeOf(found)} "${printableInQuotes(wanted.name, NAME_SHOWN_MAX)}"`;
  const reasons: DiceReason[] = [];
  for (const field of ['vendor', 'model'] as const) {
    if (wanted[field] === undefined || wanted[field] === tcbInfo[field]) continue;
    const both = `${field} is ${quoted(tcbInfo[field])}, expected ${quoted(wanted[field])}`;
    reasons.push(reason('dice-field-differs', layer, `${place}: ${both}`));
  }
  const fwids = (tcbInfo.fwids ?? []).map(fwidText);
  const accepted = wanted.fwids.some(
    (alternative) => alternative.length === fwids.length && alternative.every((fwid, at) => fwid === fwids[at]),
  );
  if (!accepted) {
    const shown = wanted.fwids.slice(0, ALTERNATIVES_SHOWN_MAX).map((alternative) => alternative.join('+'));
    const more = wanted.fwids.length - shown.length;
    const expected = `${shown.join(' or ')}${more > 0 ? ` or ${more} more` : ''}`;
    reasons.push(
      reason('dice-fwid-unexpected', layer, `${place}: fwids are ${fwidsText(found)}, expected ${expected}`),
    );
  }
  if (wanted.svnLeast !== undefined && (tcbInfo.svn ?? -1) < wanted.svnLeast) {
    const both = `svn is ${tcbInfo.svn ?? 'not stated'}, expected ${wanted.svnLeast} or higher`;
    reasons.push(reason('dice-svn-too-low', layer, `${place}: ${both}`));
  }
  const allowed = wanted.flagsAllowed ?? [];
  for (const problem of flagProblems(tcbInfo.flags ?? noFlags, tcbInfo.flagsMask, allowed)) {
    const expected = allowed.length === 0 ? 'no flag set' : `none but ${allowed.join(', ')}`;
    reasons.push(reason('dice-flag-set', layer, `${place}: flags: ${problem}, expected ${expected}`));
  }
  return reasons;
}

function placeOf({ layer, index }: { readonly layer: number; readonly index?: number | undefined }): string {
  return index === undefined || index === 0 ? `layer ${layer}` : `layer ${layer}, index ${index}`;
}

function fwidsText({ tcbInfo }: DiceLayer): string {
  return (tcbInfo.fwids ?? []).map(fwidText).join('+') || 'none';
}

function quoted(text: string | undefined): string {
  return text === undefined ? 'not stated' : `"${printableInQuotes(text, NAME_SHOWN_MAX)}"`;
}

function reason(code: DiceReasonCode, layer: number, message: string): DiceReason {
  return { code, message, layer };
}
