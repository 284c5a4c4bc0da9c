// Loaded before a test file by scripts/mutants.mjs: gives every importer one source with one text replaced, in this process, its threads
// and the programs that it starts. The file on disk is unchanged.
import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

const { url, find, replace, seen } = JSON.parse(process.env.EDGEKEEP_MUTANT ?? '{}');

registerHooks({
  load(loaded, context, nextLoad) {
    const result = nextLoad(loaded, context);
    if (loaded !== url) return result;
    const { source = '' } = result;
    const before = typeof source === 'string' ? source : new TextDecoder().decode(source);
    if (before.split(find).length !== 2) throw new Error(`${url} does not have the text of the mutant once`);
    appendFileSync(seen, 'loaded\n');
    return { ...result, source: before.split(find).join(replace) };
  },
});
