// What the evidence of each device is verified with, for receipts: its keys, and its maker's certificates with those between them and the
// root that the device does not carry.
import {
  type EvidenceOrigin,
  evidenceOriginDocument,
  type OriginDigests,
  originDigestsOf,
} from '@edgekeep/core/access/release-evidence';
import { parseBase64url } from '@edgekeep/core/bytes';
import { sha256Hex } from '@edgekeep/core/digest';
import { encodeCanonicalJson } from '@edgekeep/core/json';
import { deviceIdentitySchema } from '@edgekeep/wire/api/device';
import type { Kysely } from 'kysely';
import { HubError } from '../common/error.ts';
import type { DeviceRow } from '../store/tables/registry.ts';
import type { Tables } from '../store/schema.ts';
import { intermediatesOf } from '../vendor-root/device-makers.ts';
import type { EvidenceContent } from './evidence-store.ts';
import type { RootKeys } from './root-keys.ts';

/** The document of an origin is some KiB, and is on disk since the first release: only its name is kept. */
interface Known {
  readonly digests: OriginDigests;
  readonly content: Pick<EvidenceContent, 'sha256' | 'size'>;
}

type Registered = Pick<DeviceRow, 'id' | 'identity'>;

export class EvidenceOrigins {
  readonly #rootKeys: Pick<RootKeys, 'attestationKey'>;
  // By the parsed key of the device: both are kept as long, and another identity has another key.
  readonly #known = new WeakMap<object, Known>();

  constructor(rootKeys: Pick<RootKeys, 'attestationKey'>) {
    this.#rootKeys = rootKeys;
  }

  /** The origin's digests and its document; undefined for a device without a root of trust. */
  async of(
    db: Kysely<Tables>,
    device: Registered,
  ): Promise<{ readonly digests: OriginDigests; readonly content: EvidenceContent } | undefined> {
    const key = this.#rootKeys.attestationKey(device);
    const known = this.#known.get(key);
    if (known !== undefined) {
      const { digests, content } = known;
      return { digests, content: { ...content, bytes: () => this.#again(db, device, content) } };
    }
    const read = await readOrigin(db, device);
    if (read === undefined) return undefined;
    const { document, ...found } = read;
    this.#known.set(key, found);
    return { digests: found.digests, content: { ...found.content, bytes: () => document } };
  }

  // Certificates of its maker may have come since: then it is another document.
  async #again(db: Kysely<Tables>, device: Registered, { sha256 }: Known['content']): Promise<Uint8Array> {
    const read = await readOrigin(db, device);
    if (read?.content.sha256 === sha256) return read.document;
    this.#known.delete(this.#rootKeys.attestationKey(device));
    throw new HubError('conflict', `what ${device.id} is verified with has changed: request the key again`);
  }
}

async function readOrigin(
  db: Kysely<Tables>,
  device: Registered,
): Promise<(Known & { readonly document: Uint8Array }) | undefined> {
  const origin = await originOf(db, device);
  if (origin === undefined) return undefined;
  const document = encodeCanonicalJson(evidenceOriginDocument(origin));
  const content = { sha256: sha256Hex(document), size: document.length };
  return { digests: originDigestsOf(origin), content, document };
}

async function originOf(db: Kysely<Tables>, { id, identity }: Registered): Promise<EvidenceOrigin | undefined> {
  const parsed = deviceIdentitySchema.safeParse(JSON.parse(identity));
  if (!parsed.success) return undefined;
  const { data } = parsed;
  switch (data.kind) {
    case 'tpm': {
      const attestationKey = parseBase64url(data.attestationKey, 'attestationKey');
      const sent = data.endorsementCertificates;
      return { kind: 'tpm', attestationKey, certificates: await completed(db, id, 'tpm', sent) };
    }
    case 'dice':
      return { kind: 'dice', certificates: await completed(db, id, 'dice', data.deviceIdCertificates) };
    case 'secure-element':
    case 'software':
      return { kind: 'software', signingKey: parseBase64url(data.signingKey, 'signingKey') };
  }
}

/** What the device sent, then what only the hub has. */
async function completed(
  db: Kysely<Tables>,
  deviceId: string,
  kind: 'tpm' | 'dice',
  sent: readonly string[],
): Promise<readonly Uint8Array[]> {
  const own = sent.map((text) => parseBase64url(text, 'certificate'));
  const has = new Set(own.map(sha256Hex));
  const more = await intermediatesOf(db, deviceId, kind);
  return [...own, ...more.filter((der) => !has.has(sha256Hex(der)))];
}
