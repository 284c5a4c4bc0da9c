// The setting `store.url`: SQLite in the data folder, or a database of PostgreSQL, by the connection URI of libpq as far as it names one server. A URL
// is in files, lists of processes and logs, so one with a password is refused, and no message repeats what was given.
import { CoreError } from '../error.ts';
import { parseEndpoint } from './endpoint.ts';
import { hostText } from './host.ts';

export interface DatabaseAddress {
  /** A name or address; or the folder of a Unix socket, which begins with a slash. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

export type StoreUrl =
  | { readonly kind: 'sqlite' }
  | ({ readonly kind: 'postgres' } & DatabaseAddress)
  | { readonly kind: 'refused'; readonly why: string };

/** The environment variable with the password, where no file is named. */
export const storePasswordVariable = 'EDGEKEEP_STORE_PASSWORD';

const form = 'postgres://USER@HOST:5432/DATABASE';
const PORT_DEFAULT = 5_432;
// NAMEDATALEN of PostgreSQL, without its last byte: it cuts longer names.
const NAME_BYTES_MAX = 63;
// sun_path of Linux, without the name of the socket in the folder.
const FOLDER_BYTES_MAX = 90;

const noPassword = `a password in the URL would be in files and logs: leave it out, and put it into a file that only the hub's user can read (store.passwordFile), or into the environment variable ${storePasswordVariable}`;

export function parseStoreUrl(text: string): StoreUrl {
  if (text === 'sqlite') return { kind: 'sqlite' };
  const [, authority, path = '', query = ''] =
    /^postgres(?:ql)?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(text) ?? [];
  // Also where a slash in the password ended the authority.
  if (/:\/\/[^@]*:[^@]*@|[?&](?:ssl)?pass(?:word|file)=|\bpassword\s*=/i.test(text)) return refused(noPassword);
  if (authority === undefined) return refused(`expected sqlite, or ${form}`);
  try {
    return read(authority, path, query);
  } catch (error) {
    if (error instanceof UrlRefused) return refused(error.message);
    // `decodeURIComponent`
    if (error instanceof URIError) return refused('a percent sign is followed by two hexadecimal digits');
    throw error;
  }
}

function refused(why: string): StoreUrl {
  return { kind: 'refused', why };
}

class UrlRefused extends Error {
  override readonly name = 'UrlRefused';
}

function read(authority: string, path: string, query: string): StoreUrl {
  const options = optionsIn(query);
  const at = authority.lastIndexOf('@');
  const user = options.get('user') ?? decodeURIComponent(authority.slice(0, Math.max(0, at)));
  const { host, port } = serverOf(authority.slice(at + 1), options);
  const database = options.get('dbname') ?? decodeURIComponent(path);
  assertName('user', user);
  assertName('database', database);
  return { kind: 'postgres', host, port, database, user };
}

const optionNames: ReadonlySet<string> = new Set(['host', 'port', 'user', 'dbname', 'sslmode']);

function optionsIn(query: string): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  for (const pair of query.split('&').filter((each) => each !== '')) {
    const [name = '', value = ''] = pair.split('=', 2).map((each) => decodeURIComponent(each));
    if (name === 'sslrootcert') throw new UrlRefused('the CAs of the server are named by store.caFile, not in the URL');
    if (name === 'sslmode' && value !== 'verify-full')
      throw new UrlRefused(
        'leave sslmode out: over a network the hub always uses TLS and verifies the name (verify-full)',
      );
    if (!optionNames.has(name))
      throw new UrlRefused(`leave out what is after the question mark, but for ${[...optionNames].join(', ')}`);
    options.set(name, value);
  }
  return options;
}

function serverOf(
  text: string,
  options: ReadonlyMap<string, string>,
): { readonly host: string; readonly port: number } {
  const given = options.get('host') ?? decodeURIComponent(text.replace(/:\d*$/, ''));
  const port = portOf(options.get('port') ?? /:(\d*)$/.exec(text)?.[1] ?? '');
  if (given.includes(','))
    throw new UrlRefused('a list of hosts: expected one, a name or address that is always that of the primary');
  if (given.startsWith('/')) return { host: folderIn(given), port };
  if (given === '')
    throw new UrlRefused(
      `names no host: expected ${form}, or the folder of a socket as in postgres://USER@/DATABASE?host=/var/run/postgresql`,
    );
  try {
    const { host, port: inside } = parseEndpoint(given);
    if (inside !== undefined) throw new UrlRefused('the port is no part of the option host');
    return { host: hostText(host), port };
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    throw new UrlRefused(`expected a name or an address as host, as in ${form}; an IPv6 address is in brackets`);
  }
}

function folderIn(given: string): string {
  const folder = given.replace(/(?<=.)\/+$/, '');
  if (Buffer.byteLength(folder) <= FOLDER_BYTES_MAX && !/\p{Cc}/u.test(folder)) return folder;
  throw new UrlRefused(`the folder of the socket has at most ${FOLDER_BYTES_MAX} bytes`);
}

function portOf(digits: string): number {
  if (digits === '') return PORT_DEFAULT;
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new UrlRefused('a port is a number from 1 to 65535');
}

function assertName(what: string, name: string): void {
  if (name === '') throw new UrlRefused(`names no ${what}: expected ${form}`);
  if (Buffer.byteLength(name) > NAME_BYTES_MAX || /\p{Cc}/u.test(name))
    throw new UrlRefused(`the name of a ${what} has at most ${NAME_BYTES_MAX} bytes and no control characters`);
}
