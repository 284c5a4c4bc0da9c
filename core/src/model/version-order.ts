// Which of two model versions is newer: precedence of Semantic Versioning 2.0.0, section 11. Versions come from a manifest and have its
// form (no build metadata).

/** Negative when `a` is older than `b`, 0 when they are equal. */
export function compareVersions(a: string, b: string): number {
  const [coreA, labelA] = split(a);
  const [coreB, labelB] = split(b);
  const core = compareLists(coreA, coreB);
  if (core !== 0) return core;
  // 11.3: a pre-release comes before its release.
  if (labelA === undefined || labelB === undefined) return Number(labelA === undefined) - Number(labelB === undefined);
  return compareLists(labelA, labelB);
}

function split(version: string): readonly [core: readonly string[], label: readonly string[] | undefined] {
  const dash = version.indexOf('-');
  if (dash === -1) return [version.split('.'), undefined];
  return [version.slice(0, dash).split('.'), version.slice(dash + 1).split('.')];
}

// 11.4: field by field; when all are equal the longer list is newer.
function compareLists(a: readonly string[], b: readonly string[]): number {
  for (const [index, field] of a.entries()) {
    const other = b[index];
    if (other === undefined) return 1;
    const order = compareFields(field, other);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

// Numbers numerically, and before words; words in ASCII order.
function compareFields(a: string, b: string): number {
  const numbers = [a, b].map((field) => /^\d+$/.test(field));
  if (numbers[0] === true && numbers[1] === true) return Number(a) - Number(b);
  if (numbers[0] !== numbers[1]) return numbers[0] === true ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}
