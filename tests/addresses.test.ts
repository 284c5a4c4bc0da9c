// Hosts and ports are read and written in one place (spec/addresses.md): glued by hand, an IPv6 address has no brackets, and `10.1` is
// another machine.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');
const folders = [
  'bench',
  'scripts',
  'tests/support',
  ...['core', 'host', 'hardware', 'wire', 'guard', 'hub', 'agent', 'cli', 'sim'].map((room) => `${room}/src`),
];

const sources = folders
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  )
  .filter((path) => /\.(?:ts|mjs)$/.test(path) && !path.endsWith('.test.ts'))
  .map((path) => ({
    path,
    text: readFileSync(join(root, path), 'utf8').replaceAll(/^\s*(?:\/\/|\*|\/\*\*).*$/gm, ''),
  }));

/** Each way to do it by hand. A host that is written out, as `127.0.0.1:${port}`, has its form already. */
const byHand: Readonly<Record<string, RegExp>> = {
  'a port after a colon': /\}:\$\{[^}]*port/i,
  'a host in a URL': /https?:\/\/\$\{/,
  'a host plus a port': /\+\s*['"`]:['"`]\s*\+/,
  'a split at the colon':
    /\b(?:host|address|authority|endpoint|where|place|url)\w*\.(?:split|indexOf|lastIndexOf)\(['"`]:/i,
  'brackets around a host': /`[^`]*\[\$\{[^}]*(?:host|address)[^}]*\}\]/i,
  'brackets off a host': /\.hostname\b|\{ hostname \}/,
  'an address by node:net': /\bisIP(?:v[46])?\b/,
  'the URL parser on an address': /new URL\((?!import\b)\w[\w.]*\)/,
};

/** Where it is no host, or the parser itself. */
const known: Readonly<Record<string, string>> = {
  'core/src/canonical/endpoint.ts': 'the parser and the writer',
  'core/src/canonical/host.ts': 'the parser',
  'core/src/canonical/network.ts': 'the parser of addresses and networks',
  'cli/src/operator-file.ts': 'the form of the version before',
  'hub/src/node/node-file.ts': 'the name of this machine',
  'core/src/identity/general-name.ts': 'the octets of an address that is one already',
  'core/src/canonical/network-of.ts': 'the address of a socket, asked for each request',
  'tests/support/house.ts': 'a rule about imports',
};

function foundIn(sourcesIn: readonly { readonly path: string; readonly text: string }[]): readonly string[] {
  return sourcesIn.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line) =>
      Object.entries(byHand)
        .filter(([, pattern]) => pattern.test(line))
        .map(([way]) => `${path}: ${way}: ${line.trim()}`),
    ),
  );
}

test('no code glues a host to a port, or reads one, but the parser', () => {
  assert.ok(sources.length > 500, `found ${sources.length}`);
  const found = foundIn(sources);
  const isKnown = (line: string) => Object.keys(known).some((path) => line.startsWith(`${path}:`));
  assert.deepEqual(
    found.filter((line) => !isKnown(line)),
    [],
  );
  // A file that does none of it is no longer an exception.
  assert.deepEqual(
    Object.keys(known).filter((path) => !found.some((line) => line.startsWith(`${path}:`))),
    [],
  );
});

test('each way to do it by hand is found', () => {
  const planted = [
    'const where = `${host}:${port}`;',
    'const url = `https://${place.host}/`;',
    "const where = host + ':' + port;",
    "const [host, port] = address.split(':');",
    "const at = endpoint.lastIndexOf(':');",
    'const shown = `[${host}]`;',
    'const host = new URL(settings.url).hostname;',
    'if (isIPv6(host)) return host;',
    'const parsed = new URL(text);',
  ];
  for (const text of planted) assert.notDeepEqual(foundIn([{ path: 'planted', text }]), [], text);
  // A scheme and a path without a host, and a file beside this one.
  for (const text of ["new URL('./x.ts', import.meta.url)", "new URL(path, 'https://hub')", "text.split(':')"])
    assert.deepEqual(foundIn([{ path: 'planted', text }]), [], text);
});
