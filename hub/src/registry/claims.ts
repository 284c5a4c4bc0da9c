// The fields of a filter that devices decide themselves: what they report, and when they were last heard from. Groups over these fields are
// good for finding devices and never decide about keys.
import { type Condition, conditionOf } from './condition.ts';
import { parseFilter } from './filter.ts';

/** The fields of a filter that devices claim, each once. Throws as parsing does. */
export function claimsIn(filter: string, nowMs: number): readonly string[] {
  return [...new Set(claimsOf(conditionOf(parseFilter(filter), nowMs)))];
}

function claimsOf(condition: Condition): readonly string[] {
  switch (condition.kind) {
    case 'all':
    case 'any':
      return condition.of.flatMap(claimsOf);
    case 'attribute':
      return condition.side === 'reported' ? [`reported.${condition.path}`] : [];
    case 'model':
      return [condition.column === 'model' ? 'holds' : 'fault'];
    case 'column':
      return condition.column === 'seen_at' ? ['seenAt'] : [];
    case 'enabled':
    case 'place':
    case 'tag':
    case 'group':
      return [];
  }
}
