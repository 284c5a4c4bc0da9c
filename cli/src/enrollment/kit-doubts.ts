// Asks before a kit is made that its operator can hardly mean: for a model that the hub does not have, or for a device that has a kit or is
// enrolled already. Without a terminal it is refused; --force makes it.
import { deviceDetail } from '@edgekeep/wire/api/device-view';
import { enrollmentTokenList } from '@edgekeep/wire/api/enrollment-token';
import { modelList } from '@edgekeep/wire/api/model-release';
import { printableCell } from '@edgekeep/host/printable';
import { askOnTerminal } from '@edgekeep/host/secret-input';
import { HubRefusal } from '../refusal.ts';
import type { Operator } from '../operator.ts';
import { pagesOf } from '../pages.ts';
import { timeText } from '../table.ts';

export const forceHelp =
  '--force     make it without asking, for a model that is published later, or as the second kit of a device';

/** The hub lists no more releases than these: a model that is not among them may be there. */
const RELEASES_LISTED = 500;

interface Doubt {
  readonly code: 'not-found' | 'conflict';
  readonly text: string;
}

/** Throws `not-found` or `conflict` where nobody agrees. */
export async function assertMeant(
  operator: Operator,
  kit: { readonly deviceId: string | undefined; readonly models: readonly string[]; readonly force: boolean },
  ask = askOnTerminal,
): Promise<void> {
  const doubts = [
    ...(await unlessHidden('models', () => missingModels(operator, kit.models))),
    ...(kit.deviceId === undefined ? [] : await ofDevice(operator, kit.deviceId)),
  ];
  const [first] = doubts;
  if (first === undefined) return;
  // A question goes to the terminal itself.
  const lines = doubts.map(({ text }) => printableCell(text));
  if (kit.force) return say(lines);
  const answer = await ask(`${lines.join('\n')}\nMake it anyway? Type yes: `);
  if (answer?.trim() === 'yes') return;
  const hint = answer === undefined ? ': --force makes it anyway' : ', and nothing was made';
  throw new HubRefusal(first.code === 'not-found' ? 404 : 409, first.code, `${lines.join('\n')}${hint}`);
}

async function missingModels(operator: Operator, models: readonly string[]): Promise<readonly Doubt[]> {
  if (models.length === 0) return [];
  const { models: releases } = await operator.get('/v1/models', modelList);
  if (releases.length >= RELEASES_LISTED) return [];
  const known = new Set(releases.map(({ name }) => name));
  return models
    .filter((name) => !known.has(name))
    .map((name) => ({
      code: 'not-found',
      text: `the hub has no model ${name}${known.size === 0 ? ', nor any other' : `; it has ${[...known].slice(0, 10).join(', ')}`} (edgekeep model list)`,
    }));
}

async function ofDevice(operator: Operator, id: string): Promise<readonly Doubt[]> {
  const enrolled = await unlessHidden('devices', () => enrolledAs(operator, id));
  const tokens = await unlessHidden('enrollment tokens', () => usableTokens(operator, id));
  return [...enrolled, ...tokens];
}

async function enrolledAs(operator: Operator, id: string): Promise<readonly Doubt[]> {
  try {
    const { state } = await operator.get(`/v1/devices/${encodeURIComponent(id)}`, deviceDetail);
    // It comes back with a kit (docs/onboarding.md, "A device that returns").
    if (state === 'wiped') return [];
    return [
      {
        code: 'conflict',
        text: `${id} is enrolled already, and ${state}: a kit is for a device that is new, or was wiped`,
      },
    ];
  } catch (error) {
    if (error instanceof HubRefusal && error.code === 'not-found') return [];
    throw error;
  }
}

async function usableTokens(operator: Operator, id: string): Promise<readonly Doubt[]> {
  const tokens = await pagesOf(operator, {
    path: '/v1/enrollment-tokens',
    query: { state: 'usable' },
    schema: enrollmentTokenList,
    itemsOf: (page) => page.tokens,
  });
  return tokens
    .filter(({ deviceId }) => deviceId === id)
    .map((token) => ({
      code: 'conflict',
      text: `${id} has a kit already: its token ${token.id} is usable until ${timeText(token.expiresAt)} UTC (edgekeep enroll token revoke ${token.id})`,
    }));
}

/** A token that may not read something makes the kit all the same: the hub decides about it. */
async function unlessHidden(what: string, read: () => Promise<readonly Doubt[]>): Promise<readonly Doubt[]> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof HubRefusal && error.code === 'scope-missing')) throw error;
    say([`this API token may not read ${what}, so nothing was compared with them`]);
    return [];
  }
}

function say(lines: readonly string[]): void {
  for (const line of lines) process.stderr.write(`edgekeep: warning: ${line}\n`);
}
