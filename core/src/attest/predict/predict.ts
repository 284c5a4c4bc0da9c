// Foretells what a boot measures after an update, from the log of a boot before it and the files that change (spec/reference-values.md,
// "Predicted"): each event that an old file explains has the digest of the new one; everything else stays.
import { createHash } from 'node:crypto';
import { toHex } from '../../bytes.ts';
import { CoreError } from '../../error.ts';
import { UNIFIED_IMAGE_PCR } from '../boot-phase.ts';
import { textOf } from '../event-data/printable.ts';
import type { LoggedEvent } from '../event-log.ts';
import { authenticodeDigest, isPortableExecutable, sectionsOf } from './portable-executable.ts';

export interface FileChange {
  /** For messages. */
  readonly name: string;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** In what GRUB executes: the kernel's version in the names of files, a changed command line. */
export interface TextChange {
  readonly before: string;
  readonly after: string;
}

export interface Replacement {
  readonly pcr: number;
  readonly event: number;
  /** What explains the digest: `image of vmlinuz`, `command line`. */
  readonly by: string;
}

export interface Prediction {
  readonly events: readonly LoggedEvent[];
  readonly replaced: readonly Replacement[];
}

interface Explained {
  readonly digest: Uint8Array;
  readonly by: string;
}

/** Throws `prediction-impossible` when a change is in no event of the log, and `image-invalid` for a broken image. */
export function predictBoot(
  log: readonly LoggedEvent[],
  files: readonly FileChange[],
  texts: readonly TextChange[],
): Prediction {
  const used = new Set<FileChange | TextChange>();
  const known = new Map<string, Explained>();
  for (const file of files) {
    for (const [digest, explained] of digestsOf(file)) known.set(digest, explained);
  }
  const replaced: Replacement[] = [];
  const events = log.map((event): LoggedEvent => {
    const found = known.get(digestText(event)) ?? grubCommand(event, texts, used);
    if (found === undefined) return event;
    replaced.push({ pcr: event.pcr, event: event.index, by: found.by });
    return { ...event, event: renamed(event, texts), digests: { ...event.digests, sha256: found.digest } };
  });
  assertUsed(files, texts, used, replaced);
  return { events, replaced };
}

function digestText({ digests }: LoggedEvent): string {
  return digests.sha256 === undefined ? '' : toHex(digests.sha256);
}

/** Every digest that a file before the update can have been measured as, with that of the file after it. */
function digestsOf({ name, before, after }: FileChange): ReadonlyMap<string, Explained> {
  assertSameSections(name, before, after);
  const [old, next] = [measurementsOf(before), measurementsOf(after)];
  const digests = new Map<string, Explained>();
  for (const [kind, digest] of old) {
    const other = next.get(kind);
    if (other !== undefined) digests.set(toHex(digest), { digest: other, by: `${kind} of ${name}` });
  }
  return digests;
}

/** What systemd-stub measures of an image, where it has it (UAPI.5, "PE Sections"). */
const measuredSections =
  '.linux .osrel .cmdline .initrd .ucode .splash .dtb .dtbauto .hwids .uname .sbat .pcrpkey .profile .efifw'.split(' ');

// An image with another list of sections is measured by another number of events.
function assertSameSections(name: string, before: Uint8Array, after: Uint8Array): void {
  const listOf = (file: Uint8Array) =>
    isPortableExecutable(file) ? measuredSections.filter((section) => sectionsOf(file).has(section)) : [];
  const [old, next] = [listOf(before), listOf(after)];
  if (!old.includes('.linux') || old.join() === next.join()) return;
  const message = `${name}: the new image has the sections ${next.join(', ')}, the old one ${old.join(', ')}: take the log of a boot of it`;
  throw new CoreError('prediction-impossible', message);
}

// GRUB and the kernel's stub measure a file as it is (PCR 9), firmware and shim an image by its Authenticode digest (PCR 4), systemd-stub the
// sections of the image that it is in (PCR 11).
function measurementsOf(file: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const measured = new Map([['content', sha256(file)]]);
  if (!isPortableExecutable(file)) return measured;
  measured.set('image', authenticodeDigest(file));
  for (const [name, content] of sectionsOf(file)) {
    if (!name.startsWith('.')) continue;
    measured.set(`section ${name}`, sha256(content));
    if (name === '.linux') measured.set('kernel', authenticodeDigest(content));
    if (name === '.cmdline') measured.set('command line', sha256(loadOptions(content)));
  }
  return measured;
}

// The kernel's stub measures its load options: UTF-16 with a terminator.
function loadOptions(commandLine: Uint8Array): Uint8Array {
  const text = Buffer.from(commandLine).toString('utf8').replace(/\0+$/, '');
  return Buffer.from(`${text}\0`, 'utf16le');
}

const GRUB_COMMANDS_PCR = 8;
const prefixes = /^(grub_cmd|kernel_cmdline|module_cmdline): /;

// The event's data is a prefix and the text; the digest covers the text.
function grubCommand(
  event: LoggedEvent,
  texts: readonly TextChange[],
  used: Set<FileChange | TextChange>,
): Explained | undefined {
  if (event.pcr !== GRUB_COMMANDS_PCR) return undefined;
  const shown = Buffer.from(event.event).toString('latin1').replace(/\0+$/, '');
  const text = shown.replace(prefixes, '');
  if (text === shown || toHex(sha256(Buffer.from(text, 'latin1'))) !== digestText(event)) return undefined;
  const next = textAfter(text, texts, used);
  return next === text ? undefined : { digest: sha256(Buffer.from(next, 'latin1')), by: 'command of GRUB' };
}

function textAfter(text: string, texts: readonly TextChange[], used: Set<FileChange | TextChange>): string {
  return texts.reduce((changed, change) => {
    if (!changed.includes(change.before)) return changed;
    used.add(change);
    return changed.replaceAll(change.before, change.after);
  }, text);
}

// For people: the names of files follow.
function renamed(event: LoggedEvent, texts: readonly TextChange[]): Uint8Array {
  if (event.pcr === UNIFIED_IMAGE_PCR || textOf(event.event) === undefined || event.event[1] === 0) return event.event;
  const text = Buffer.from(event.event).toString('latin1');
  return Uint8Array.from(Buffer.from(textAfter(text, texts, new Set()), 'latin1'));
}

function assertUsed(
  files: readonly FileChange[],
  texts: readonly TextChange[],
  used: ReadonlySet<FileChange | TextChange>,
  replaced: readonly Replacement[],
): void {
  const idle = files
    .filter(({ name }) => !replaced.some(({ by }) => by.endsWith(` of ${name}`)))
    .map(({ name }) => name);
  const unread = texts.filter((text) => !used.has(text)).map(({ before }) => JSON.stringify(before));
  const unknown = [...idle, ...unread];
  if (unknown.length === 0) return;
  const message = `no event of the log is explained by ${unknown.join(', ')}: is it the log of a boot with the old files?`;
  throw new CoreError('prediction-impossible', message);
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}
