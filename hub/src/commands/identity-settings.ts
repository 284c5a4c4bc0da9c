// What a new hub is called, which cannot be changed later: the names by which others reach it, and from these the origin of its log and the trust
// domain of its workloads, where nobody chose others. Asks a person at a terminal who gave no name.
import { parseAddress } from '@edgekeep/core/canonical/network';
import { createInterface } from 'node:readline/promises';
import { HubError } from '../common/error.ts';
import { parseHubSettings } from '../settings.ts';

type Given = Readonly<Record<string, unknown>>;

/** Settings as given, and what is derived or answered; without `ask` nobody is asked. */
export async function withIdentity(
  given: Given,
  ask: Ask | undefined,
  { namesFrom = '--settings' } = {},
): Promise<Given> {
  const named = given['names'] === undefined && ask !== undefined ? await askName(given, ask) : given;
  const name = hubNameIn(parseHubSettings(named, namesFrom).names);
  if (name === undefined) return named;
  const derived = identityOf(name);
  const workloads = groupIn(named, 'workloads');
  const logOrigin = named['logOrigin'] ?? (await chosen(ask, named === given, 'origin of its log', derived.logOrigin));
  const trustDomain =
    workloads['trustDomain'] ?? (await chosen(ask, named === given, 'trust domain of workloads', derived.trustDomain));
  return { ...named, logOrigin, workloads: { ...workloads, trustDomain } };
}

export type Ask = (question: string) => Promise<string>;

/** The name of the hub that others know it by: a DNS name before an address; undefined where only its own machine reaches it. */
export function hubNameIn(names: readonly string[]): string | undefined {
  const others = names.filter((name) => !/^(?:\*\.|localhost$|127\.|::1$|0\.0\.0\.0$|::$)/.test(name));
  return others.find((name) => parseAddress(name) === undefined) ?? others[0];
}

/** Colons of an IPv6 address are no part of a trust domain. */
function identityOf(name: string) {
  return { logOrigin: `${name}/log`, trustDomain: name.replaceAll(':', '-') };
}

async function askName(given: Given, ask: Ask): Promise<Given> {
  for (;;) {
    const name = await ask(
      'name by which devices reach this hub, for example hub.example.net (empty: this machine only): ',
    );
    if (name === '') return given;
    const named = { ...given, names: [name] };
    try {
      parseHubSettings(named, 'the name');
      return named;
    } catch (error) {
      process.stderr.write(`  ${error instanceof Error ? error.message : 'not a name'}\n`);
    }
  }
}

async function chosen(ask: Ask | undefined, isNamed: boolean, what: string, derived: string): Promise<string> {
  // A person who gave the names is not asked.
  if (ask === undefined || isNamed) return derived;
  const answer = await ask(`${what}, which cannot be changed later (empty: ${derived}): `);
  return answer === '' ? derived : answer;
}

function groupIn(given: Given, name: string): Given {
  const group = given[name];
  return typeof group === 'object' && group !== null ? { ...group } : {};
}

/** Asks at the terminal of this process; undefined where standard input or error is none. */
export function terminalAsk(): Ask | undefined {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  return async (question) => {
    const given = new AbortController();
    // The terminal edits the line: control sequences of readline are text of this process, and shown as such.
    const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
    lines.once('close', () => given.abort());
    try {
      return (await lines.question(question, { signal: given.signal })).trim();
    } catch (cause) {
      throw new HubError('request-invalid', 'nothing was entered, and nothing was made', { cause });
    } finally {
      lines.close();
    }
  };
}
