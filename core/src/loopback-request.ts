// Which HTTP requests to a loopback port come from programs of this machine and not from a web page in a browser on it.

// A browser that was given a name for 127.0.0.1 sends that name: only these names are ours (DNS rebinding).
const loopbackHost = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?$/;

/** False for a request that names another host, or that a page of any origin sent. */
export function isLoopbackRequest(headers: {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
}) {
  const { host, origin } = headers;
  return origin === undefined && loopbackHost.test(host ?? '');
}
