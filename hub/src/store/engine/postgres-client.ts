// Connections to PostgreSQL that give values in the forms that SQLite gives: numbers, texts, plain bytes. Over a network always TLS, with the name
// of the server verified.
import { groupAndOthers, readPrivateFile } from '@edgekeep/host/private-file';
import type { ClientConfig } from 'pg';
import { HubError } from '../../common/error.ts';
import type { PostgresPlace } from './postgres-place.ts';

const CONNECT_MS_MAX = 10_000;
// A server that vanished without a word is noticed by TCP's own probes, the first after this much silence: the system's own would wait two hours.
const PROBE_AFTER_MS = 10_000;

/** `read` gives connections that cannot write. */
export type ConnectionMode = 'write' | 'read';

// A writer that stops in a group (its machine is suspended) loses the lock; one that waits for the lock gives up before its callers do.
// The server notices a hub that vanished without a word by probes of its own: what it held is free after half a minute.
const ofMode: Readonly<Record<ConnectionMode, string>> = {
  read: '-c default_transaction_read_only=on -c statement_timeout=120s',
  write:
    '-c lock_timeout=20s -c idle_in_transaction_session_timeout=15s -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3',
};

export function clientConfig(place: PostgresPlace, mode: ConnectionMode): ClientConfig {
  const { host, port, database, user, authorities } = place;
  return {
    host,
    port,
    database,
    user,
    // A function, so that no object that is printed has it. Without one `pg` would search the environment and files.
    password: () => passwordOf(place),
    ssl: host.startsWith('/')
      ? false
      : { rejectUnauthorized: true, ...(authorities === undefined ? {} : { ca: authorities }) },
    application_name: 'edgekeep-hub',
    connectionTimeoutMillis: CONNECT_MS_MAX,
    keepAlive: true,
    keepAliveInitialDelayMillis: PROBE_AFTER_MS,
    // The isolation too: a database or role may have another default, under which a group that waited for the lock reads what was before it.
    options: `-c default_transaction_isolation=read\\ committed -c search_path=public -c client_encoding=UTF8 -c extra_float_digits=1 -c bytea_output=hex -c client_min_messages=notice ${ofMode[mode]}`,
    types: { getTypeParser: parserOf },
  };
}

const PASSWORD_BYTES_MAX = 4_096;

/** The first line of its file. */
async function passwordOf({ password, passwordFile }: PostgresPlace): Promise<string> {
  if (passwordFile === undefined) return password ?? '';
  const refused = (problem: string, options?: ErrorOptions) =>
    new HubError('settings-invalid', `store.passwordFile: ${passwordFile}: ${problem}`, options);
  const rules = { maxBytes: PASSWORD_BYTES_MAX, forbidden: groupAndOthers, followsLinks: true };
  const bytes = await readPrivateFile(passwordFile, rules, refused);
  if (bytes === undefined) throw refused('there is no such file');
  const [line = ''] = bytes.toString('utf8').split(/\r?\n/, 1);
  bytes.fill(0);
  if (line === '') throw refused('its first line is empty: expected the password');
  return line;
}

type Parser = (text: string) => unknown;

/** By the number of the type; others are texts. */
const parsers: ReadonlyMap<number, Parser> = new Map<number, Parser>([
  // SQLite has no booleans: a comparison is 1 or 0.
  [16, (text) => (text === 't' ? 1 : 0)],
  [17, bytesOf],
  [20, integerOf],
  [21, integerOf],
  [23, integerOf],
  [700, Number],
  [701, Number],
  // The sum of integers.
  [1700, Number],
]);

function parserOf(type: number): Parser {
  return parsers.get(type) ?? ((text) => text);
}

function integerOf(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`the store holds ${text}, which is no safe integer`);
  return value;
}

/** Of a buffer of its own: threads get a copy of the whole buffer behind an array. */
function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array((text.length - 2) / 2);
  Buffer.from(bytes.buffer).write(text.slice(2), 'hex');
  return bytes;
}
