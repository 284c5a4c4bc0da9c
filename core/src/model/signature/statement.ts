// The signed payload: an in-toto Statement v1 with the OMS v1.0 predicate. Read only after its signature verified. Fields that OMS does not
// know are ignored, because OMS 5.2 requires that; everything known is strict.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { parseHex, toHex } from '../../bytes.ts';
import { CoreError } from '../../error.ts';
import { encodeCanonicalJson, parseJson, parseValue } from '../../json.ts';
import { refused, type SignatureRefused } from './reason.ts';
import {
  compareResourceNames,
  encodeResourceName,
  type FileHash,
  fileHashes,
  parseResourceName,
  RESOURCE_COUNT_MAX,
  type ResourceName,
  type Serialization,
  shardRanges,
} from './serialization.ts';

const statementType = 'https://in-toto.io/Statement/v1';
const predicateType = 'https://model_signing/signature/v1.0';
/** The type of OMS 0.2: the files are among the subjects, and its signatures cover a wrong encoding. */
const legacyPredicateType = 'https://model_signing/Digests/v0.1';

/** One signed file or shard. `digest` is lower-case hex. */
export interface Resource extends ResourceName {
  readonly digest: string;
}

export interface ModelStatement {
  /** The folder's or file's name when it was signed: information only. */
  readonly modelName: string;
  /** SHA-256 over the resources' digests in their order, hex: one name for the whole model. */
  readonly rootDigest: string;
  readonly serialization: Serialization;
  readonly resources: readonly Resource[];
}

const headSchema = z.object({ _type: z.string().max(200), predicateType: z.string().max(200) });

const statementSchema = z.object({
  subject: z
    .array(z.object({ name: z.string().min(1).max(1024), digest: z.object({ sha256: z.string().length(64) }) }))
    .length(1),
  predicate: z.object({
    serialization: z.object({
      method: z.string().max(64),
      hash_type: z.string().max(64),
      allow_symlinks: z.boolean(),
      shard_size: z.number().int().positive().optional(),
      ignore_paths: z.array(z.string().max(4096)).max(10_000).optional(),
    }),
    resources: z
      .array(z.object({ name: z.string().max(8192), algorithm: z.string().max(64), digest: z.string().max(128) }))
      .min(1)
      .max(RESOURCE_COUNT_MAX),
  }),
});
type Predicate = z.infer<typeof statementSchema>['predicate'];

/** A statement over `resources`, in the order of OMS; deterministic for equal input. */
export function encodeStatement(
  modelName: string,
  serialization: Serialization,
  resources: readonly Resource[],
): Uint8Array {
  const { hash, shardSize, allowSymlinks, ignorePaths } = serialization;
  const sorted = resources.toSorted(compareResourceNames);
  return encodeCanonicalJson({
    _type: statementType,
    subject: [{ name: modelName, digest: { sha256: rootDigestOf(sorted) } }],
    predicateType,
    predicate: {
      serialization: {
        method: shardSize === undefined ? 'files' : 'shards',
        hash_type: hash,
        shard_size: shardSize,
        allow_symlinks: allowSymlinks,
        ignore_paths: [...ignorePaths],
      },
      resources: sorted.map((resource) => ({
        name: encodeResourceName(resource),
        algorithm: hash,
        digest: resource.digest,
      })),
    },
  });
}

/** Parses a payload whose signature verified. Throws `signature-bundle-invalid` (or a JSON code) for anything malformed. */
export function parseStatement(
  payload: Uint8Array,
): { readonly kind: 'parsed'; readonly statement: ModelStatement } | SignatureRefused {
  const what = 'the signed statement';
  const head = parseJson(payload, z.looseObject(headSchema.shape), what, 'signature-bundle-invalid');
  if (head.predicateType === legacyPredicateType) {
    return refused(
      'legacy-predicate',
      `${legacyPredicateType} is what OMS 0.2 wrote; sign the model again with OMS 1.0`,
    );
  }
  const { _type: type } = head;
  if (type !== statementType || head.predicateType !== predicateType) {
    const found = `${JSON.stringify(type)} with ${JSON.stringify(head.predicateType)}`;
    return refused('unsupported-predicate', `expected ${statementType} with ${predicateType}, found ${found}`);
  }
  const { subject, predicate } = parseValue(head, statementSchema, what, 'signature-bundle-invalid');
  const serialization = parseSerialization(predicate);
  if ('kind' in serialization) return serialization;

  const resources = parseResources(predicate, serialization);
  const rootDigest = rootDigestOf(resources);
  const [named] = subject;
  if (named?.digest.sha256 !== rootDigest) {
    return refused(
      'root-digest-mismatch',
      `the resources hash to ${rootDigest}, the subject says ${named?.digest.sha256}`,
    );
  }
  return { kind: 'parsed', statement: { modelName: named.name, rootDigest, serialization, resources } };
}

function parseSerialization({ serialization }: Predicate): Serialization | SignatureRefused {
  const { method, hash_type, allow_symlinks, shard_size, ignore_paths = [] } = serialization;
  if (method !== 'files' && method !== 'shards') {
    return refused('unsupported-serialization', `expected "files" or "shards", found ${JSON.stringify(method)}`);
  }
  if ((method === 'shards') !== (shard_size !== undefined)) {
    throw invalid('shard_size must be there for "shards" and for nothing else');
  }
  // OMS 1.0 wrote "sha256-sharded-SIZE" for shards; later releases and the specification write "sha256".
  const name = shard_size === undefined ? hash_type : hash_type.replace(`-sharded-${shard_size}`, '');
  const hash = fileHashOf(name);
  if (hash === undefined) {
    return refused('unsupported-hash', `expected sha256 or blake2b, found ${JSON.stringify(hash_type)}`);
  }
  return { hash, shardSize: shard_size, allowSymlinks: allow_symlinks, ignorePaths: ignore_paths };
}

function fileHashOf(name: string): FileHash | undefined {
  return name === 'sha256' || name === 'blake2b' ? name : undefined;
}

function parseResources(predicate: Predicate, { hash, shardSize }: Serialization): readonly Resource[] {
  const byPath = new Map<string, Resource[]>();
  const resources = predicate.resources.map(({ name, algorithm, digest }): Resource => {
    if (algorithm !== predicate.serialization.hash_type) {
      throw invalid(`${JSON.stringify(name)}: not hashed with the statement's hash_type`);
    }
    if (!/^[0-9a-f]+$/.test(digest) || digest.length !== 2 * fileHashes[hash].bytes) {
      throw invalid(`${JSON.stringify(name)}: expected a ${hash} digest in lower-case hex`);
    }
    const resource = { ...parseResourceName(name, shardSize !== undefined), digest };
    const parts = byPath.get(resource.path);
    if (parts === undefined) byPath.set(resource.path, [resource]);
    else parts.push(resource);
    return resource;
  });
  for (const [path, parts] of byPath) assertWhole(path, parts, shardSize);
  if (byPath.has('.') && byPath.size > 1) {
    throw invalid('"." names the one file of a single-file model, but there are others');
  }
  return resources;
}

// A file is listed once; its shards cover it without gap or overlap, so the last one gives the file's length.
function assertWhole(path: string, parts: readonly Resource[], shardSize: number | undefined): void {
  const sorted = parts.toSorted(compareResourceNames);
  const size = sorted.at(-1)?.range?.end ?? 0;
  const count = shardSize === undefined ? 1 : Math.ceil(size / shardSize);
  // The counts first: a hostile size must not make us list a billion shards.
  const ranges = parts.length !== count ? [] : shardSize === undefined ? [undefined] : shardRanges(size, shardSize);
  const fits = ranges.every((range, index) => {
    const found = sorted[index]?.range;
    return found?.start === range?.start && found?.end === range?.end;
  });
  if (ranges.length === 0 || !fits) {
    throw invalid(`${JSON.stringify(path)}: listed twice, or its shards do not follow one another`);
  }
}

function invalid(message: string): CoreError {
  return new CoreError('signature-bundle-invalid', message);
}

function rootDigestOf(resources: readonly Resource[]): string {
  const hash = createHash('sha256');
  for (const { digest } of resources) hash.update(parseHex(digest, 'a resource digest'));
  return toHex(hash.digest());
}
