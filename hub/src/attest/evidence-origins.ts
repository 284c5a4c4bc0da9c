// What the evidence of each device is verified with, for receipts: its keys, and its maker's certificates with those between them and the
// root that the device does not carry.
import { type EvidenceOrigin, evidenceOriginDocument } from '@edgekeep/core/access/release-evidence';
import { parseBase64url } from '@edgekeep/core/bytes';
import { sha256Hex } from '@edgekeep/core/digest';
import { encodeCanonicalJson } from '@edgekeep/core/json';
import { deviceIdentitySchema } from '@edgekeep/wire/api/device';
import type { Kysely } from 'kysely';
import { LruMap } from 'toad-cache';
import type { DeviceRow } from '../store/tables/registry.ts';
import type { Tables } from '../store/schema.ts';
import { intermediatesOf } from '../vendor-root/device-makers.ts';

// Devices that got a key recently; one takes about 10 KiB.
const DEVICES_MAX = 5_000;

interface Known {
  readonly identity: string;
  readonly origin: EvidenceOrigin;
  readonly document: Uint8Array;
}

export class EvidenceOrigins {
  readonly #known = new LruMap<Known>(DEVICES_MAX);

  /** The origin and its document; undefined for a device without a root of trust. */
  async of(
    db: Kysely<Tables>,
    { id, identity }: Pick<DeviceRow, 'id' | 'identity'>,
  ): Promise<Omit<Known, 'identity'> | undefined> {
    const known = this.#known.get(id);
    if (known !== undefined && known.identity === identity) return known;
    const origin = await originOf(db, id, identity);
    if (origin === undefined) return undefined;
    const read = { identity, origin, document: encodeCanonicalJson(evidenceOriginDocument(origin)) };
    this.#known.set(id, read);
    return read;
  }
}

async function originOf(db: Kysely<Tables>, id: string, identity: string): Promise<EvidenceOrigin | undefined> {
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
