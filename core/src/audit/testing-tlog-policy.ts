// For tests: a policy of C2SP tlog-policy as a file. The hub makes its own, of a whole fleet, in SQL.
import { utf8 } from '../bytes.ts';
import { encodeVerifierKey } from './note.ts';
import type { QuorumRule, TlogPolicy } from './tlog-policy.ts';

/** The policy file again, in an order in which every name is defined before it is used. */
export function encodeTlogPolicy({ logs, witnesses, quorum }: TlogPolicy): Uint8Array {
  const lines = [
    ...logs.map((key) => `log ${encodeVerifierKey(key)}`),
    ...witnesses.map(({ name, key }) => `witness ${name} ${encodeVerifierKey(key)}`),
    ...groupLines(quorum),
    `quorum ${quorum === 'none' ? quorum : quorum.name}`,
  ];
  return utf8(`${lines.join('\n')}\n`);
}

function groupLines(rule: QuorumRule | 'none'): readonly string[] {
  if (rule === 'none' || rule.kind === 'witness') return [];
  const { name, threshold, members } = rule;
  return [...members.flatMap(groupLines), `group ${name} ${threshold} ${members.map((each) => each.name).join(' ')}`];
}
