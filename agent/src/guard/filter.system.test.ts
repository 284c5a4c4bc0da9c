// The system-call filter of agent/native/guard-filter.c as each architecture compiles it: its instructions are run here over calls by their numbers.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const source = fileURLToPath(new URL('../../native/guard-filter.c', import.meta.url));

const refusedNumbers = {
  // Of every architecture since Linux 5.
  both: {
    pidfd_send_signal: 424,
    io_uring_setup: 425,
    io_uring_enter: 426,
    io_uring_register: 427,
    open_tree: 428,
    move_mount: 429,
    fsopen: 430,
    fsconfig: 431,
    fsmount: 432,
    fspick: 433,
    pidfd_open: 434,
    pidfd_getfd: 438,
  },
  // arch/x86/entry/syscalls/syscall_64.tbl
  x64: {
    socket: 41,
    connect: 42,
    bind: 49,
    fork: 57,
    vfork: 58,
    kill: 62,
    ptrace: 101,
    rt_sigqueueinfo: 129,
    personality: 135,
    pivot_root: 155,
    chroot: 161,
    mount: 165,
    umount2: 166,
    init_module: 175,
    delete_module: 176,
    tkill: 200,
    kexec_load: 246,
    add_key: 248,
    request_key: 249,
    keyctl: 250,
    unshare: 272,
    rt_tgsigqueueinfo: 297,
    perf_event_open: 298,
    name_to_handle_at: 303,
    open_by_handle_at: 304,
    setns: 308,
    process_vm_readv: 310,
    process_vm_writev: 311,
    kcmp: 312,
    finit_module: 313,
    kexec_file_load: 320,
    bpf: 321,
    execveat: 322,
    userfaultfd: 323,
  },
  // include/uapi/asm-generic/unistd.h
  arm64: {
    umount2: 39,
    mount: 40,
    pivot_root: 41,
    chroot: 51,
    personality: 92,
    unshare: 97,
    kexec_load: 104,
    init_module: 105,
    delete_module: 106,
    ptrace: 117,
    kill: 129,
    tkill: 130,
    rt_sigqueueinfo: 138,
    socket: 198,
    bind: 200,
    connect: 203,
    add_key: 217,
    request_key: 218,
    keyctl: 219,
    rt_tgsigqueueinfo: 240,
    perf_event_open: 241,
    name_to_handle_at: 264,
    open_by_handle_at: 265,
    setns: 268,
    process_vm_readv: 270,
    process_vm_writev: 271,
    kcmp: 272,
    finit_module: 273,
    bpf: 280,
    execveat: 281,
    userfaultfd: 282,
    kexec_file_load: 294,
  },
} as const;

const platforms = [
  { name: 'x64', compiler: 'cc', objcopy: 'objcopy', audit: 0xc000_003e, clone: 56, read: 0, machine: 'x64' },
  {
    name: 'arm64',
    compiler: 'aarch64-linux-gnu-gcc',
    objcopy: 'aarch64-linux-gnu-objcopy',
    audit: 0xc000_00b7,
    clone: 220,
    read: 63,
    machine: undefined,
  },
] as const;

const clone3 = 435;
const cloneThread = 0x0001_0000;
const [allow, kill, EPERM, ENOSYS] = [0x7fff_0000, 0x8000_0000, 0x0005_0001, 0x0005_0026];

interface Call {
  readonly audit: number;
  readonly number: number;
  readonly first?: number;
}

/** The instructions of the filter, eight bytes each (struct sock_filter). */
async function compiled(compiler: string, objcopy: string): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-filter-'));
  try {
    const [object, filter] = [join(folder, 'filter.o'), join(folder, 'filter.bin')];
    await run(compiler, ['-O2', '-Wall', '-Wextra', '-Werror', '-fdata-sections', '-c', '-o', object, source]);
    await run(objcopy, ['-O', 'binary', '-j', '.data.filter', object, filter]);
    return await readFile(filter);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** What the kernel would answer: the instructions that this filter has, by their codes in linux/bpf_common.h. */
function answer(filter: Buffer, { audit, number, first = 0 }: Call): number {
  // struct seccomp_data: nr, arch, instruction_pointer, args; the lower half of an argument comes first on both.
  const words = new Map([
    [0, number],
    [4, audit],
    [16, first],
  ]);
  let loaded = 0;
  for (let at = 0; at < filter.length; at += 8) {
    const code = filter.readUInt16LE(at);
    const [yes, no, k] = [filter.readUInt8(at + 2), filter.readUInt8(at + 3), filter.readUInt32LE(at + 4)];
    const jump = (holds: boolean) => (at += 8 * (holds ? yes : no));
    if (code === 0x20) loaded = words.get(k) ?? assert.fail(`reads at ${k}`);
    else if (code === 0x06) return k;
    else if (code === 0x15) jump(loaded === k);
    else if (code === 0x35) jump(loaded >= k);
    else if (code === 0x45) jump((loaded & k) !== 0);
    else assert.fail(`unknown instruction ${code}`);
  }
  return assert.fail('ends without an answer');
}

for (const { name, compiler, objcopy, audit, clone, read, machine } of platforms) {
  // SECURITY.md: DEV-38
  test(`the filter compiled for ${name} refuses the calls it names by their numbers there, and no other architecture passes`, async (t) => {
    if (machine !== undefined && machine !== process.arch) return t.skip(`this machine is ${process.arch}`);
    const found = await run(compiler, ['--version']).catch(() => undefined);
    if (found === undefined) return t.skip(`${compiler} is not installed`);
    const filter = await compiled(compiler, objcopy);
    const call = (number: number, first = 0) => answer(filter, { audit, number, first });
    const refused = { ...refusedNumbers.both, ...refusedNumbers[name] };
    for (const [of, number] of Object.entries(refused)) assert.equal(call(number), EPERM, of);
    assert.deepEqual(
      [call(clone), call(clone, cloneThread), call(clone3, cloneThread), call(read)],
      [EPERM, allow, ENOSYS, allow],
    );
    for (const other of platforms.filter((each) => each.name !== name))
      assert.equal(answer(filter, { audit: other.audit, number: read }), kill);
    if (name === 'x64') assert.equal(call(0x4000_0000 + read), kill);
    // No call is refused that is not named above.
    const numbers = new Set<number>([...Object.values(refused), clone, clone3]);
    const others = Array.from({ length: 512 }, (_, number) => number).filter((number) => !numbers.has(number));
    assert.deepEqual(
      others.filter((number) => call(number) !== allow),
      [],
    );
  });
}
