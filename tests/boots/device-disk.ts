// The device's own disk for a boot with the agent in it: Node with its libraries, the agent's packages, and the state folder, on ext4. Node
// takes most of a minute to compile the agent on a processor in software, so what it compiled here is on the disk, too.
import { execFile } from 'node:child_process';
import { cp, mkdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const project = join(import.meta.dirname, '../..');
/** What the agent loads; the guard and its runtime are not among it: the models of these devices are for programs. */
const packages = ['core', 'host', 'hardware', 'wire', 'agent'] as const;
const modules = ['zod'] as const;
const DISK_MEBIBYTES = 400;

export interface DeviceDiskOrder {
  /** Where the disk is made. */
  readonly folder: string;
  /** The agent's folder, with the delivered files. */
  readonly stateFolder: string;
  /** For `agent.json`. */
  readonly settings: object;
}

/** Makes the disk, and gives the path of its image. */
export async function makeDeviceDisk({ folder, stateFolder, settings }: DeviceDiskOrder): Promise<string> {
  const root = join(folder, 'root');
  // Compiled code is found by the path of its source, so the device has this folder at the same path as this machine.
  const tree = join(root, 'edgekeep');
  await mkdir(join(tree, 'node_modules/@edgekeep'), { recursive: true });
  for (const name of packages) {
    await cp(join(project, name, 'package.json'), join(tree, name, 'package.json'));
    await cp(join(project, name, 'src'), join(tree, name, 'src'), { recursive: true, filter: (path) => !isTest(path) });
    await symlink(join('../..', name), join(tree, 'node_modules/@edgekeep', name));
  }
  for (const name of modules)
    await cp(join(project, 'node_modules', name), join(tree, 'node_modules', name), { recursive: true });
  await compile(tree);
  await copyNode(root);
  await cp(stateFolder, join(root, 'state'), { recursive: true });
  await writeFile(join(root, 'state/agent.json'), JSON.stringify(settings));
  await writeFile(join(root, 'start.sh'), startScript(tree));
  const image = join(folder, 'device.ext4');
  await run('mke2fs', ['-q', '-t', 'ext4', '-d', root, image, `${DISK_MEBIBYTES}M`]);
  await rm(root, { recursive: true });
  return image;
}

function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || /^(fixtures|testing)/.test(basename(path));
}

async function compile(tree: string): Promise<void> {
  const script = `
    const { enableCompileCache, flushCompileCache } = require('node:module');
    enableCompileCache(process.argv[1]);
    import(process.argv[2]).then(() => flushCompileCache());`;
  const main = join(tree, 'agent/src/command-line.ts');
  await run(process.execPath, ['-e', script, join(tree, 'compiled'), main], { env: {} });
}

async function copyNode(root: string): Promise<void> {
  const node = await realpath(process.execPath);
  await run('objcopy', ['--strip-all', node, join(root, 'node')]);
  const { stdout } = await run('ldd', [node]);
  for (const [path] of stdout.matchAll(/\/\S+/g)) {
    const place = join(root, 'system', path);
    await mkdir(dirname(place), { recursive: true });
    await cp(path, place, { dereference: true });
  }
}

// The system's libraries are at their usual places, and the agent is where it was compiled.
function startScript(tree: string): string {
  return `
for folder in lib lib64; do busybox mkdir -p /$folder; busybox mount --bind /device/system/$folder /$folder; done
busybox mkdir -p ${tree} /run /tmp /dev/shm
busybox mount -t tmpfs none /dev/shm
busybox mount --bind /device/edgekeep ${tree}
busybox ip link set lo up; busybox ip link set eth0 up
busybox ip addr add 10.0.2.15/24 dev eth0; busybox ip route add default via 10.0.2.2
export NODE_COMPILE_CACHE=${join(tree, 'compiled')}
/device/node ${join(tree, 'agent/src/main.ts')} --state /device/state > /dev/ttyS2 2>&1
`;
}
