// A reporter for `node --test-reporter`: one JSON line for each test that failed or was skipped, and one for the counts at the end. The
// runner reads them; people read the spec reporter beside it.

export default async function* report(source) {
  const path = [];
  for await (const { type, data } of source) {
    if (type === 'test:start') path[data.nesting] = data.name;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const isSuite = data.details?.type === 'suite';
    const name = [...path.slice(0, data.nesting), data.name].join(' > ');
    const outcome = outcomeOf(type, data);
    // A suite counts only for its own failure, as in a hook, or when it was skipped as a whole.
    const isOwn = !isSuite || outcome === 'skipped' || (outcome === 'failed' && !isOfSubtests(data));
    if (isOwn) yield `${JSON.stringify({ outcome, name, why: whyOf(data) })}\n`;
  }
  yield `${JSON.stringify({ outcome: 'end' })}\n`;
}

function outcomeOf(type, data) {
  if (data.skip !== undefined && data.skip !== false) return 'skipped';
  if (type === 'test:pass' || (data.todo !== undefined && data.todo !== false)) return 'passed';
  return 'failed';
}

function isOfSubtests(data) {
  return data.details?.error?.failureType === 'subtestsFailed';
}

function whyOf(data) {
  if (typeof data.skip === 'string') return data.skip;
  const error = data.details?.error;
  return error === undefined ? '' : String(error.cause?.message ?? error.message ?? error).split('\n')[0];
}
