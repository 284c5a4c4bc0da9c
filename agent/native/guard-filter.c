/* usage: guard-filter [--system-calls] [--landlock] -- COMMAND…
 * Permanently removes from this process what a guard never needs, and runs COMMAND. If the kernel lacks a part, it exits with code 1 and
 * one line on stderr: nothing is left out silently. Optional: without a compiler it is not built, and the missing walls are reported by
 * name.
 * Follows spec/guard.md section 6. Node can install neither of the two itself. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "not an architecture that ONNX Runtime has a Node binding for"
#endif

/* Landlock of kernels newer than the headers that this is compiled with. */
#define OWN_ACCESS_FS_WRITES                                                                                           \
  (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                    \
   LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                          \
   LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |                       \
   LANDLOCK_ACCESS_FS_MAKE_SYM)
#define OWN_ACCESS_NET 3ULL /* bind and connect by TCP: ABI 4 */
#define OWN_SCOPED 3ULL     /* abstract Unix sockets and signals to the outside: ABI 6 */
struct own_ruleset {
  __u64 handled_access_fs;
  __u64 handled_access_net;
  __u64 scoped;
};

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, (value))
#define REFUSE ANSWER(SECCOMP_RET_ERRNO | EPERM)
#define REFUSED(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 1), REFUSE

static struct sock_filter filter[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 1, 0),
    ANSWER(SECCOMP_RET_KILL_PROCESS),
    LOAD(nr),
#if defined(__x86_64__)
    /* The x32 interface has other numbers for the same calls. */
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
    ANSWER(SECCOMP_RET_KILL_PROCESS),
#endif
    /* Threads, but no processes. A filter cannot read the flags of clone3: the C library falls back to clone. */
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1),
    ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 4),
    LOAD(args[0]),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0),
    REFUSE,
    LOAD(nr),
#if defined(__x86_64__)
    REFUSED(fork),
    REFUSED(vfork),
#endif
    REFUSED(execveat),
    /* Signals to other processes, and their memory and descriptors. Threads signal one another by tgkill. */
    REFUSED(kill),
    REFUSED(tkill),
    REFUSED(rt_sigqueueinfo),
    REFUSED(rt_tgsigqueueinfo),
    REFUSED(pidfd_open),
    REFUSED(pidfd_send_signal),
    REFUSED(pidfd_getfd),
    REFUSED(ptrace),
    REFUSED(process_vm_readv),
    REFUSED(process_vm_writev),
    REFUSED(kcmp),
    /* New sockets: the guard inherits those that it works on. */
    REFUSED(socket),
    REFUSED(connect),
    REFUSED(bind),
    /* Namespaces, mounts and roots. */
    REFUSED(unshare),
    REFUSED(setns),
    REFUSED(mount),
    REFUSED(umount2),
    REFUSED(pivot_root),
    REFUSED(chroot),
    REFUSED(open_tree),
    REFUSED(move_mount),
    REFUSED(fsopen),
    REFUSED(fsconfig),
    REFUSED(fsmount),
    REFUSED(fspick),
    REFUSED(name_to_handle_at),
    REFUSED(open_by_handle_at),
    /* Kernel interfaces that no inference needs. */
    REFUSED(bpf),
    REFUSED(perf_event_open),
    REFUSED(userfaultfd),
    REFUSED(io_uring_setup),
    REFUSED(io_uring_enter),
    REFUSED(io_uring_register),
    REFUSED(add_key),
    REFUSED(request_key),
    REFUSED(keyctl),
    REFUSED(kexec_load),
    REFUSED(kexec_file_load),
    REFUSED(init_module),
    REFUSED(finit_module),
    REFUSED(delete_module),
    REFUSED(personality),
    ANSWER(SECCOMP_RET_ALLOW),
};

static int fail(const char *what) {
  fprintf(stderr, "guard-filter: %s: %s\n", what, strerror(errno));
  return 1;
}

/* No write to any file, no TCP; where the kernel supports it, no signal and no abstract socket to the outside. */
static int landlock(void) {
  long version = syscall(__NR_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) return fail("landlock");
  struct own_ruleset rules = {OWN_ACCESS_FS_WRITES, version >= 4 ? OWN_ACCESS_NET : 0, version >= 6 ? OWN_SCOPED : 0};
  size_t size = version >= 6 ? sizeof(rules) : version >= 4 ? 2 * sizeof(__u64) : sizeof(__u64);
  int set = (int)syscall(__NR_landlock_create_ruleset, &rules, size, 0);
  if (set < 0) return fail("landlock rules");
  if (syscall(__NR_landlock_restrict_self, set, 0) != 0) return fail("landlock");
  close(set);
  return 0;
}

static int system_calls(void) {
  struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
  if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0) return fail("seccomp");
  return 0;
}

int main(int count, char **words) {
  int at = 1, wants_calls = 0, wants_landlock = 0;
  for (; at < count && strcmp(words[at], "--") != 0; at++) {
    if (strcmp(words[at], "--system-calls") == 0) wants_calls = 1;
    else if (strcmp(words[at], "--landlock") == 0) wants_landlock = 1;
    else return fprintf(stderr, "guard-filter: unknown word %s\n", words[at]), 2;
  }
  if (at + 1 >= count) return fprintf(stderr, "guard-filter: no command\n"), 2;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail("no-new-privileges");
  if (wants_landlock && landlock() != 0) return 1;
  if (wants_calls && system_calls() != 0) return 1;
  execv(words[at + 1], words + at + 1);
  return fail(words[at + 1]);
}
