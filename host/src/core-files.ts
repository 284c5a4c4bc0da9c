// Whether a crash of this process writes its memory to disk (core(5)). A limit of 0 stops core files. Where /proc/sys/kernel/core_pattern names a
// program, the kernel starts it under any limit but one: a limit of one byte.

/** What the two files in /proc say; an empty text for one that cannot be read. */
export interface CoreFileState {
  /** Of /proc/self/limits. */
  readonly limits: string;
  /** Of /proc/sys/kernel/core_pattern. */
  readonly pattern: string;
}

/** For people: how the memory could reach the disk, and what to do; undefined when it cannot. */
export function coreFileRisk({ limits, pattern }: CoreFileState): string | undefined {
  const soft = /^Max core file size\s+(\S+)/m.exec(limits)?.[1];
  if (soft === '1') return undefined;
  if (soft === undefined) return 'the core file limit is not known: a crash may write keys to disk';
  const remedy = 'Start with `prlimit --core=1`, or LimitCORE=1 in the unit';
  if (soft !== '0') return `the core file limit is ${soft}: a crash may write keys to disk. ${remedy}`;
  if (pattern !== '' && !pattern.startsWith('|')) return undefined;
  const who =
    pattern === '' ? 'what collects core files is not known' : `${pattern.slice(1).split(' ')[0]} collects core files`;
  return `${who}, and the limit of 0 does not stop it: a crash may write keys to disk. ${remedy}`;
}
