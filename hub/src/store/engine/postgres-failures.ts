// Failures of a database server, each in one line that says what to do. The server's own words are the cause of the error.
import { HubError } from '../../common/error.ts';
import { sqlState } from './failures.ts';
import { type PostgresPlace, postgresText } from './postgres-place.ts';

const page = 'docs/postgresql.md';
const again = 'the hub goes on when it is back';
const unknownAuthority = `has a certificate of a CA that the hub does not trust for it: name the file with that CA by store.caFile, or --store-ca (${page})`;

/** By the code of a system call, of TLS, or of a name service. */
const systemTexts: Readonly<Record<string, string>> = {
  ECONNREFUSED: `takes no connections: does the server run, and does it listen there (listen_addresses and port in postgresql.conf)?`,
  ENOENT: 'has no socket there: does the server run, and is that one of its unix_socket_directories?',
  EACCES: "is not open to this user: the socket's folder does not let it in",
  ENOTFOUND: 'is not found: correct the name in store.url, or the name service',
  EAI_AGAIN: 'is not found now: the name service does not answer',
  ETIMEDOUT: 'does not answer: is there a firewall in between?',
  EHOSTUNREACH: 'cannot be reached: there is no way to that address',
  ENETUNREACH: 'cannot be reached: there is no way to that network',
  ECONNRESET: `ended the connection: the server stopped or the network failed; ${again}`,
  EPIPE: `ended the connection: the server stopped or the network failed; ${again}`,
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  CERT_SIGNATURE_FAILURE: unknownAuthority,
  ERR_TLS_CERT_ALTNAME_INVALID:
    'has a certificate for another name: write a name that is in its certificate into store.url, or give the server one for this name',
  CERT_HAS_EXPIRED: "has a certificate that has ended: renew it at the server (is this machine's clock right?)",
  CERT_NOT_YET_VALID: "has a certificate that is not valid yet: is this machine's clock right?",
};

/** By SQLSTATE, or its class. */
const serverTexts: readonly (readonly [RegExp, string])[] = [
  [/^28P01$/, 'refuses the password: correct the one in store.passwordFile or EDGEKEEP_STORE_PASSWORD'],
  [/^28/, `does not let this user in: it needs the role and a line in pg_hba.conf (${page})`],
  [/^3D000$/, `does not exist: make it (${page})`],
  [/^42501$/, `does not give this user the rights that a hub needs (${page})`],
  [/^53300$/, 'takes no more connections: raise max_connections, a hub needs eight'],
  [/^53100$/, 'has no space left on the disk of its server: free some'],
  [/^53/, 'lacks memory or another resource at its server'],
  [/^57P0[1-5]$/, `is stopped, or starts just now; ${again}`],
  [/^25006$/, 'takes no writes: its server is a standby, or default_transaction_read_only is on; name the primary'],
  [/^55P03$|^25P0[34]$/, `is held up by another program that has locked its rows or lets it wait; ${again}`],
  [/^58/, 'fails to read or write its files: look at the disk of its server'],
  [/^XX00[12]$/, 'is damaged: restore it, or restore a backup (docs/backup.md)'],
];

/** By the client's words, where there is no code. */
const clientTexts: readonly (readonly [RegExp, string])[] = [
  [
    /does not support SSL/,
    `has no TLS: set ssl = on and a certificate for this name at the server, or use its Unix socket (${page})`,
  ],
  [
    /password must be a/,
    'asks for a password: name a file with it by store.passwordFile, or set EDGEKEEP_STORE_PASSWORD',
  ],
  [/^timeout e|connection timeout/i, 'does not answer: is there a firewall in between?'],
  [/^Connection terminated|connection to PostgreSQL was lost|not queryable/, `ended the connection; ${again}`],
];

/**
 * The same error, or `store-unavailable` where the server is at fault. It names the place for people at the hub's machine alone: answers to requests carry
 * the message too.
 */
export function asStoreFailure(error: unknown, place?: PostgresPlace): unknown {
  if (!(error instanceof Error)) return error;
  if (error instanceof HubError) {
    // Named without its place by a connection below.
    const isUnnamed = error.code === 'store-unavailable' && place !== undefined;
    return isUnnamed ? asStoreFailure(error.cause, place) : error;
  }
  const text = textOf(error);
  if (text === undefined) return error;
  const what = place === undefined ? 'the database of the store' : postgresText(place);
  return new HubError('store-unavailable', `${what} ${text}`, { cause: error, retryAfterSeconds: 1 });
}

function textOf(error: Error): string | undefined {
  const state = sqlState(error);
  if (state !== undefined) return serverTexts.find(([code]) => code.test(state))?.[1];
  // A name with several addresses has an error for each.
  const [first] = error instanceof AggregateError ? error.errors : [];
  const code = codeOf(error) ?? codeOf(first);
  const known = code === undefined ? undefined : systemTexts[code];
  return known ?? clientTexts.find(([words]) => words.test(error.message))?.[1];
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Runs `work` with its failures in words. */
export async function inWords<T>(work: () => Promise<T>, place?: PostgresPlace): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asStoreFailure(error, place);
  }
}
