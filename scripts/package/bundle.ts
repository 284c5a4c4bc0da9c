// One bundle for each program of a tree. A source file's `import.meta.url` becomes the place that the file has in the tree, so what the
// sources find beside themselves (a thread's file, the guard, a shell script) is found there as well.
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { build, type OutputFile, type Plugin } from 'esbuild';

export const root = join(import.meta.dirname, '../..');
/** Not bundled: native code, and WebAssembly that is read from beside its loader. */
const external = ['onnxruntime-node', 'pkcs11js', '@cedar-policy/cedar-wasm/*'];
/** In the code of a bundle it is the root of the tree. */
const rootMark = '__edgekeepTree';

/** `agent/src/main.ts` and what it starts as threads, bundled into `tree`. Gives every npm package whose code is inside. */
export async function bundleProgram(tree: string, entry: string): Promise<ReadonlySet<string>> {
  const packages = new Set<string>();
  const done = new Set<string>();
  for (const waiting = [entry]; waiting.length > 0;) {
    const next = waiting.pop() ?? '';
    if (done.has(next)) continue;
    done.add(next);
    const { threads, inputs } = await bundleOne(tree, next);
    waiting.push(...threads);
    for (const input of inputs) {
      const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(input)?.[1];
      if (name !== undefined && !name.startsWith('@edgekeep/')) packages.add(name);
    }
  }
  return packages;
}

async function bundleOne(tree: string, entry: string) {
  const threads = new Set<string>();
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outdir: join(tree, dirname(entry)),
    chunkNames: 'bundle/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    minify: true,
    keepNames: true,
    legalComments: 'none',
    external,
    metafile: true,
    write: false,
    logLevel: 'warning',
    plugins: [placesInTree(threads), oneLanguage],
  });
  for (const file of outputFiles) await writeOutput(tree, file);
  return { threads, inputs: Object.keys(metafile.inputs) };
}

/** The texts of zod in fifty languages are a fifth of the agent's bundle, and in its memory while it runs; it reports in English. */
const oneLanguage: Plugin = {
  name: 'one-language',
  setup: (building) => {
    building.onLoad({ filter: /node_modules\/zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    }));
  },
};

function placesInTree(threads: Set<string>): Plugin {
  return {
    name: 'places-in-tree',
    setup: (building) => {
      building.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const source = readFileSync(path, 'utf8');
        if (!source.includes('import.meta.url')) return undefined;
        const place = relative(root, path).replace(/\.ts$/, '.js');
        const contents = source
          // A module of the older kind that has no types.
          .replaceAll(/createRequire\(import\.meta\.url\)\(('[^']+')\)/g, 'require($1)')
          .replaceAll(/new URL\('(\.{1,2}\/[^']+)\.ts', import\.meta\.url\)/g, (_, target: string) => {
            threads.add(`${relative(root, join(dirname(path), target))}.ts`);
            return `new URL('${target}.js', import.meta.url)`;
          })
          .replaceAll('import.meta.url', `new URL('${place.split(sep).join('/')}', ${rootMark}).href`);
        // A file that starts itself as a thread.
        if (/new Worker\(new URL\(import\.meta\.url\)/.test(source)) threads.add(relative(root, path));
        return { contents, loader: 'ts' };
      });
    },
  };
}

/** Modules of the older kind in the bundle ask for `require`. */
const requireText = `import{createRequire as __edgekeepRequire}from'node:module';const require=__edgekeepRequire(import.meta.url);`;

async function writeOutput(tree: string, { path, text }: OutputFile): Promise<void> {
  const up = '../'.repeat(relative(tree, dirname(path)).split(sep).length);
  const treeText = text.includes(rootMark) ? `const ${rootMark}=new URL('${up}',import.meta.url);` : '';
  const [shebang = ''] = /^#!.*\n/.exec(text) ?? [];
  const needsRequire = /\brequire\b/.test(text);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${shebang}${needsRequire ? requireText : ''}${treeText}${text.slice(shebang.length)}`);
}
