// `edgekeep root sign-keys`: the root signs the key list of a hub (spec/key-list.md).
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
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
import { assertNewFile, dayText, placeIn } from '../new-file.ts';
import { dateText, fingerprintText } from './ceremony.ts';
import { confirm, daysOf } from './confirm.ts';
import { type OpenRoot, readRootCertificate, record } from './root-folder.ts';
import { keyHelp, keyOptions, keyUsage, openRoot } from './root-key.ts';
import { warnSignedBefore } from './signed-before.ts';

const listDays = 400;
const daySeconds = 86_400;

export const command: Command = {
  usage: `root sign-keys ${keyUsage} --request FILE [--out FILE|FOLDER] [--days N] [--first] [--yes]`,
  help: `
Verifies that each key in the request signed it, shows the keys, compares them with the last list that this folder has of the same hub,
asks, writes a line into the ceremony record, and then the signed list. A request that takes back an end or a theft is refused; the last request gets the
same list again, with a warning.

${keyHelp}
--request  the file that the hub wrote (edgekeep authority request-keys)
--out      the file to write, or a folder for a file that has the hub, the list's number and the day in its name (default: the folder of the request).
           An existing file is never overwritten
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
    const file = args.required('request');
    const content = parseKeyListRequest(await readBounded(file, KEY_LIST_BYTES_MAX));
    const days = daysOf(args, listDays, KEY_LIST_DAYS_MAX);
    const nowMs = Date.now();
    const out = placeIn(args.option('out'), dirname(file), () => nameOf(content, nowMs));
    await assertNewFile(out);
    const same = await lastListFor(args.required('folder'), content);
    if (same !== undefined) {
      await writeNewFile(out, same.bytes, 0o644);
      const value = {
        out,
        number: content.number,
        validUntil: same.list.validUntilSeconds * 1_000,
        signedBefore: true,
      };
      return { exitCode: exitCodes.ok, value, text: `key list ${content.number} written to ${out}` };
    }
    const root = await openRoot(args);
    const kept = join(root.folder, keptKeyListName(content.hub));
    await assertFollows(root, kept, content, args.flag('first'));
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
    const value = { out, number: list.number, validUntil: list.validUntilSeconds * 1_000, signedBefore: false };
    return { exitCode: exitCodes.ok, value, text: `key list ${list.number} written to ${out}` };
  },
};

/** The name of the answer: of which hub, which number, on which day. */
function nameOf({ hub, number }: KeyListContent, nowMs: number): string {
  return `${basename(keptKeyListName(hub), '.json')}-number-${number}-${dayText(nowMs)}.json`;
}

/** The last list of this folder, where it was signed for this very request; says so. */
async function lastListFor(folder: string, { hub, number, keys }: KeyListContent) {
  const bytes = await orIfMissing(readFile(join(folder, keptKeyListName(hub))), undefined);
  if (bytes === undefined) return undefined;
  const verdict = openKeyList(bytes, [await readRootCertificate(folder)]);
  if (verdict.kind === 'refused') return undefined;
  const { list } = verdict;
  if (list.number !== number || !isDeepStrictEqual(list.keys.map(describeKey), keys.map(describeKey))) return undefined;
  warnSignedBefore([
    `key list ${number} of ${hub} at ${dateText(list.issuedAtSeconds)} UTC, too old at ${dateText(list.validUntilSeconds)} UTC`,
    'the same list is written again; a new request has the next number',
  ]);
  return { bytes, list };
}

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
