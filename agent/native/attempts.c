/* For tests: native code of an attacker that runs in place of the guard. It tries what would reach the agent or the machine and writes one
 * line to stderr for each attempt: its name, and `worked` or the error. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *name, long result) {
  fprintf(stderr, "%s %s\n", name, result < 0 ? strerrorname_np(errno) : "worked");
}

int main(void) {
  /* A signal to ourselves is not one to the agent. */
  signal(SIGUSR1, SIG_IGN);
  fprintf(stderr, "parent %d\n", getppid());
  /* Signal 0 checks whether a signal could be sent, and sends none. */
  tell("signal-parent", getppid() == 0 ? (errno = ESRCH, -1) : kill(getppid(), 0));
  tell("trace-parent", ptrace(PTRACE_SEIZE, getppid(), 0, 0));
  tell("new-socket", socket(AF_UNIX, SOCK_STREAM, 0));
  tell("new-network-socket", socket(AF_INET, SOCK_STREAM, 0));
  tell("new-namespace", unshare(0x10000000));
  tell("write-file", open("/tmp/edgekeep-attempt", O_CREAT | O_WRONLY, 0600));
  tell("read-passwords", open("/etc/passwd", O_RDONLY));
  pid_t child = (pid_t)fork();
  if (child == 0) _exit(0);
  tell("new-process", child);
  struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  tell("raise-memory-limit", setrlimit(RLIMIT_DATA, &none));
  char *memory = malloc((size_t)2 << 30);
  tell("two-gigabytes", memory == NULL ? -1 : 0);
  /* Last, because it can kill this process: a signal to everybody in our own process group. Not sent when we lead no group: it would reach
   * the process that runs the test. */
  if (getpid() == 1 || getpgrp() == getpid()) tell("signal-group", kill(0, SIGUSR1));
  return 0;
}
