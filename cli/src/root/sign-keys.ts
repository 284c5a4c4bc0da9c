// `edgekeep root sign-keys`: the root signs the key list of a hub (spec/key-list.md).
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeVerifierKey } from '@edgekeep/core/audit/note';
import { succeedingProblems } from '@edgekeep/core/authority/key-list-follow';
import { parseKeyListRequest } from '@edgekeep/core/authority/key-list-request';
import {
  KEY_LIST_BYTES_MAX,
  KEY_LIST_DAYS_MAX,
  type KeyList,
  type KeyListContent,
  keptKeyListName,
  keyIdOf,
  type ListedKey,
  logKeyOf,
  openKeyList,
  signKeyList,
} from '@edgekeep/core/authority/key-list';
import { sha256Hex } from '@edgekeep/core/digest';
import { CoreError } from '@edgekeep/core/error';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { replaceFile, writeNewFile } from '@edgekeep/host/durable-file';
import { exitCodes, type Command } from '../command.ts';
import { readBounded } from '../bounded-file.ts';
import { dateText, fingerprintText } from './ceremony.ts';
import { confirm, daysOf } from './confirm.ts';
import { type OpenRoot, record } from './root-folder.ts';
import { keyHelp, keyOptions, keyUsage, openRoot } from './root-key.ts';

const listDays = 400;
const daySeconds = 86_400;

export const command: Command = {
  usage: `root sign-keys ${keyUsage} --request FILE --out FILE [--days N] [--first] [--yes]`,
  help: `
Verifies that each key in the request signed it, shows the keys, compares them with the last list that this folder has of the same hub,
asks, writes a line into the ceremony record, and then the signed list. A request that takes back an end or a theft is refused.

${keyHelp}
--request  the file that the hub wrote (edgekeep authority request-keys)
--out      the file to write; an existing file is never overwritten
--days     how many days until readers say that the list is too old, at most ${KEY_LIST_DAYS_MAX} (default: ${listDays})
--first    this folder has no list of this hub, and the number is above 1: a root that took over from another one
--yes      do not ask
`,
  positionals: { min: 0, max: 0 },
  options: {
    ...keyOptions,
    request: { type: 'string' },
    out: { type: 'string' },
    days: { type: 'string' },
    first: { type: 'boolean' },
    yes: { type: 'boolean' },
  },
  async run(args) {
    const out = args.required('out');
    const content = parseKeyListRequest(await readBounded(args.required('request'), KEY_LIST_BYTES_MAX));
    const days = daysOf(args, listDays, KEY_LIST_DAYS_MAX);
    const root = await openRoot(args);
    const kept = join(root.folder, keptKeyListName(content.hub));
    await assertFollows(root, kept, content, args.flag('first'));
    const nowMs = Date.now();
    const issuedAtSeconds = Math.floor(nowMs / 1_000);
    const list: KeyList = { ...content, issuedAtSeconds, validUntilSeconds: issuedAtSeconds + days * daySeconds };
    await confirm(args, 'Sign this key list?', [
      ...describe(list),
      `root         ${fingerprintText(root.certificate)}`,
    ]);
    const signed = await signKeyList(list, root.certificate, root.signer);
    const data = {
      hub: list.hub,
      number: String(list.number),
      file: sha256Hex(signed),
      keys: String(list.keys.length),
    };
    await record(root, { at: nowMs, kind: 'key-list-signed', data });
    // The root's own copy first: the next list must follow it.
    await replaceFile(kept, signed);
    await writeNewFile(out, signed, 0o644);
    const value = { out, number: list.number, validUntil: list.validUntilSeconds * 1_000 };
    return { exitCode: exitCodes.ok, value, text: `key list ${list.number} written to ${out}` };
  },
};

async function assertFollows(root: OpenRoot, path: string, next: KeyListContent, first: boolean): Promise<void> {
  const bytes = await orIfMissing(readFile(path), undefined);
  if (bytes === undefined) {
    if (next.number === 1 || first) return;
    throw invalid(
      `it has number ${next.number}, and ${root.folder} has no list of this hub: compare the keys, then --first`,
    );
  }
  const verdict = openKeyList(bytes, [root.certificate]);
  if (verdict.kind === 'refused') throw invalid(`${path}: ${verdict.reasons.join('; ')}`);
  const { list } = verdict;
  const problems = [...succeedingProblems(list, next)];
  if (next.number <= list.number) problems.push(`its number is ${next.number}, the last one was ${list.number}`);
  if (problems.length > 0) throw invalid(problems.join('; '));
}

function describe(list: KeyList): readonly string[] {
  return [
    `hub          ${list.hub}`,
    `number       ${list.number}`,
    `too old      ${dateText(list.validUntilSeconds)} UTC`,
    ...list.keys.flatMap((key) => ['', ...describeKey(key)]),
    '',
  ];
}

/** A key as the people at a ceremony compare it. */
function describeKey(key: ListedKey): readonly string[] {
  const { fromSeconds, untilSeconds, compromised } = key;
  const end = untilSeconds === undefined ? 'no end' : `until ${dateText(untilSeconds)} UTC`;
  return [
    `key          ${(keyIdOf(key).match(/.{4}/g) ?? []).join(' ')}`,
    `signs        ${key.purpose}${key.origin === undefined ? '' : ` ${encodeVerifierKey(logKeyOf(key))}`}`,
    `counts       from ${dateText(fromSeconds)} UTC, ${end}${compromised ? ', STOLEN' : ''}`,
  ];
}

function invalid(problem: string): CoreError {
  return new CoreError('key-list-invalid', `the request does not follow the last list: ${problem}`);
}
