// Which test files share a process in a run of the unit tests: those of one package, apart from files that change the process itself. A run
// of all tests gives each file a process of its own, so a file that needs what another left behind fails there, and one that disturbs others
// fails here.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** More files save little more, and a group that ends too early is run again file by file. */
const GROUP_MAX = 24;
/** Of the process, and so of all files in it: environment, folder, signals, exit, clocks and whole modules in another's place. */
const ofTheProcess =
  /\bprocess\.(?:env\b|chdir|umask|exit|kill|on\b|once\b|emit|title|setuid|std(?:in|out|err)\b)|\bmock\.|\bglobalThis\b|\bsetFlagsFromString\b|\bsyncBuiltinESMExports\b/;

/** Lists of files; a list of one is a file alone. The largest packages come first, so that no long group is the last. */
export function groupsOf(root, files) {
  const packages = Map.groupBy(files, (file) => file.split('/')[0]);
  return [...packages.values()]
    .toSorted((a, b) => b.length - a.length)
    .flatMap((ofPackage) => {
      const [alone, shared] = [true, false].map((isAlone) =>
        ofPackage.filter((file) => ofTheProcess.test(readFileSync(join(root, file), 'utf8')) === isAlone),
      );
      return [...inParts(shared), ...alone.map((file) => [file])];
    });
}

/** Equal parts of at most GROUP_MAX. */
function inParts(files) {
  const size = Math.ceil(files.length / Math.max(1, Math.ceil(files.length / GROUP_MAX)));
  return Array.from({ length: Math.ceil(files.length / Math.max(1, size)) }, (_, at) =>
    files.slice(at * size, (at + 1) * size),
  );
}
