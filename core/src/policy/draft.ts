// A draft of a policy: the additional rules for a new text. Texts in a policy are compared with tags, names and roles in canonical form
// (docs/design/identities.md), and people review what they see: so a draft is in normal form C and has no hidden characters.
import { textProblem } from '../canonical/text.ts';
import type { Fault } from './faults.ts';
import { type LoadedPolicy, loadPolicy, type PolicyName } from './policy.ts';

/** `loadPolicy` for a text that will be applied, simulated or compared. */
export function loadDraft(text: string, name: PolicyName): LoadedPolicy {
  const faults = textFaults(text);
  return faults.length > 0 ? { kind: 'refused', faults } : loadPolicy(text, name);
}

function textFaults(text: string): readonly Fault[] {
  const lines = text.replaceAll('\r\n', '\n').split('\n');
  const at = lines.findIndex((line) => textProblem(line, { lines: true }) !== undefined);
  if (at !== -1) {
    const problem = textProblem(lines[at] ?? '', { lines: true }) ?? '';
    return [{ code: 'policy-syntax', message: `line ${at + 1} has ${problem}` }];
  }
  const other = lines.findIndex((line) => line.normalize('NFC') !== line);
  if (other === -1) return [];
  const message = `line ${other + 1} is not in Unicode normal form C: what it compares with tags and names would never match`;
  return [{ code: 'policy-syntax', message }];
}
