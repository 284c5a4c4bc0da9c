// Makes IMA policies (spec/ima-policy.md, "From a log" and "From Keylime"): from what a device known to be good has measured, and from a runtime
// policy of Keylime.
import { createPublicKey } from 'node:crypto';
import { z } from 'zod';
import { toBase64url, toHex, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeSpki, parseSpki } from '../identity/public-key.ts';
import { parseJson } from '../json.ts';
import type { ImaEntry } from './ima-log.ts';
import type { ImaPolicy } from './ima-policy.ts';
import { imaKeyIdOf } from './ima-signature.ts';

/** A policy, and what a person should know about how it was made. */
export interface MadeImaPolicy {
  readonly policy: ImaPolicy;
  readonly notes: readonly string[];
}

export interface PolicyHead {
  readonly name: string;
  readonly version: string;
  readonly for?: readonly string[] | undefined;
  readonly excludes?: readonly string[] | undefined;
  /** PEM public keys. */
  readonly keys?: readonly string[] | undefined;
}

const acceptedHashes: ReadonlyMap<number, string> = new Map([
  [64, 'sha256'],
  [96, 'sha384'],
  [128, 'sha512'],
]);

/** Accepts the files and buffers of these logs, by their digests. */
export function imaPolicyFromLogs(logs: readonly (readonly ImaEntry[])[], head: PolicyHead): MadeImaPolicy {
  const [files, buffers] = [new Digests(), new Digests()];
  let violations = 0;
  for (const entry of logs.flat()) {
    const { fileName, violation, buffer, fileDigest } = entry;
    if (fileName === 'boot_aggregate') continue;
    if (violation) violations += 1;
    else (buffer === undefined || buffer.length === 0 ? files : buffers).add(fileName, toHex(fileDigest.digest));
  }
  const notes = [
    ...files.notes('/'),
    ...(violations === 0
      ? []
      : [`${violations} violations: files that were changed while they were measured are left out`]),
  ];
  return { policy: policyOf(head, files, buffers), notes };
}

const keylimeDigests = z.record(z.string(), z.array(z.string().regex(/^[0-9a-fA-F]{40,128}$/)));
const keylimePolicy = z.object({
  digests: keylimeDigests,
  excludes: z.array(z.string()).default([]),
  keyrings: keylimeDigests.default({}),
  ima: z.object({ ignored_keyrings: z.array(z.string()).default([]), dm_policy: z.unknown().optional() }).prefault({}),
  'ima-buf': keylimeDigests.default({}),
  'verification-keys': z.string().default(''),
});
const keylimeKeys = z.object({ pubkeys: z.array(z.string()), keyids: z.array(z.int().min(0).max(0xffffffff)) });

/** Throws `ima-policy-invalid` for another document than a runtime policy of Keylime, and for one that cannot be expressed. */
export function imaPolicyFromKeylime(text: string, head: PolicyHead): MadeImaPolicy {
  const source = parseJson(utf8(text), keylimePolicy, 'Keylime runtime policy');
  const [files, buffers] = [new Digests(), new Digests()];
  for (const [path, each] of Object.entries(source.digests)) for (const hex of each) files.add(path, hex.toLowerCase());
  for (const [name, each] of [...Object.entries(source.keyrings), ...Object.entries(source['ima-buf'])])
    for (const hex of each) buffers.add(name, hex.toLowerCase());
  const excludes = [...source.excludes.map(wholePathPattern), ...(head.excludes ?? [])];
  const policy = policyOf({ ...head, excludes }, files, buffers);
  const keys = [...(policy.keys ?? []), ...keysOfKeylime(source['verification-keys'])];
  const ignored = source.ima.ignored_keyrings;
  const notes = [
    ...files.notes('/'),
    ...buffers.notes(''),
    ...(source.ima.dm_policy === undefined || source.ima.dm_policy === null
      ? []
      : ['its device mapper policy is left out']),
  ];
  return {
    policy: {
      ...policy,
      ...(keys.length === 0 ? {} : { keys }),
      ...(ignored.length === 0 ? {} : { ignoredBuffers: ignored }),
    },
    notes,
  };
}

// Keylime uses re.match, which does not look at the end.
function wholePathPattern(pattern: string): string {
  const ends = /(^|[^\\])(\\\\)*\$$/.test(pattern);
  return ends ? `(?:${pattern.slice(0, -1).replace(/^\^/, '')})` : `(?:${pattern.replace(/^\^/, '')}).*`;
}

function keysOfKeylime(text: string): NonNullable<ImaPolicy['keys']> {
  if (text === '') return [];
  const { pubkeys, keyids } = parseJson(utf8(text), keylimeKeys, 'verification keys');
  return pubkeys.map((each, at) => {
    const key = toBase64url(encodeSpki(parseSpki(Buffer.from(each, 'base64'))));
    return { id: (keyids[at] ?? 0).toString(16).padStart(8, '0'), key };
  });
}

class Digests {
  readonly #byName = new Map<string, Set<string>>();
  readonly #weak = new Set<string>();

  add(name: string, hex: string): void {
    const hash = acceptedHashes.get(hex.length);
    const known = this.#byName.get(name) ?? new Set();
    if (hash === undefined) this.#weak.add(name);
    else this.#byName.set(name, known.add(`${hash}:${hex}`));
  }

  /** Those whose name begins with `prefix`. */
  record(prefix: string): Record<string, string[]> {
    const found = [...this.#byName].filter(([name]) => name.startsWith(prefix));
    return Object.fromEntries(found.map(([name, digests]) => [name, [...digests].toSorted()]));
  }

  notes(prefix: string): readonly string[] {
    const weak = [...this.#weak].filter((name) => !this.#byName.has(name));
    const others = [...this.#byName.keys()].filter((name) => !name.startsWith(prefix));
    return [
      ...(weak.length === 0
        ? []
        : [`${weak.length} have a SHA-1 digest only, and are left out (the kernel's ima_hash=sha256): ${weak[0]}`]),
      ...(others.length === 0 ? [] : [`${others.length} without a whole path are left out: ${others[0]}`]),
    ];
  }
}

function policyOf(
  { name, version, for: boots, excludes = [], keys = [] }: PolicyHead,
  files: Digests,
  buffers: Digests,
): ImaPolicy {
  const named = buffers.record('');
  return {
    type: 'edgekeep-ima-policy/v1',
    name,
    version,
    files: files.record('/'),
    ...(boots === undefined || boots.length === 0 ? {} : { for: [...boots] }),
    ...(excludes.length === 0 ? {} : { excludes: [...excludes] }),
    ...(keys.length === 0 ? {} : { keys: keys.map(keyOfPem) }),
    ...(Object.keys(named).length === 0 ? {} : { buffers: named }),
  };
}

function keyOfPem(pem: string): { id: string; key: string } {
  try {
    const key = createPublicKey(pem);
    return { id: imaKeyIdOf(key), key: toBase64url(encodeSpki(key)) };
  } catch (cause) {
    throw new CoreError('ima-policy-invalid', 'a key that signs files is not a PEM public key or certificate', {
      cause,
    });
  }
}
