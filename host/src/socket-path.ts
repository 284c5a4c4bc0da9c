// The path of a Unix socket has room for 107 bytes on Linux (unix(7)), of which a long state folder is most. Node says "invalid argument".

const SOCKET_PATH_BYTES_MAX = 107;

/** Why no socket can be at a path, for people; undefined when one can. */
export function socketPathProblem(path: string): string | undefined {
  const bytes = Buffer.byteLength(path);
  return bytes <= SOCKET_PATH_BYTES_MAX
    ? undefined
    : `the path of a socket has at most ${SOCKET_PATH_BYTES_MAX} bytes, and ${path} has ${bytes}`;
}
