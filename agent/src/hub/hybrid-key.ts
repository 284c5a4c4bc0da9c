// The hybrid key of this device (spec/agent.md, "The hybrid key"): model keys are wrapped for it besides the root of trust, so that both must be
// broken. Its private half is in the state folder: sealed by the TPM where there is one, else in a file of this user alone.
import { randomBytes } from 'node:crypto';
import { hybridKeyProofInfo, openHybridLayer } from '@edgekeep/core/access/hybrid-wrap';
import { boundWrapType, hybridWrapType, type WrapContext, type WrapType } from '@edgekeep/core/access/wrap-context';
import type { WrappedKey } from '@edgekeep/core/access/wrapped-key';
import { equalBytes, parseBase64url, toBase64url, utf8 } from '@edgekeep/core/bytes';
import { sha256Hex } from '@edgekeep/core/digest';
import { CoreError } from '@edgekeep/core/error';
import { hybridOpen } from '@edgekeep/core/identity/hybrid-hpke';
import { parseJson } from '@edgekeep/core/json';
import { XWING_SEED_LENGTH, xwingPublicKey } from '@edgekeep/core/post-quantum/xwing';
import { endorsementKeyKinds } from '@edgekeep/core/tpm/template';
import { HardwareError } from '@edgekeep/hardware/error';
import type { LocalSeal, RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import { replaceBoth } from '@edgekeep/host/two-copies';
import { groupAndOthers, readPrivateFile } from '@edgekeep/host/private-file';
import { z } from 'zod';
import { AgentError } from '../error.ts';
import { KeptState } from '../kept-state.ts';

const FILE_BYTES_MAX = 8_192;
const base64url = z
  .string()
  .max(2_048)
  .regex(/^[A-Za-z0-9_-]*$/);

const fileSchema = z.strictObject({
  type: z.literal('edgekeep-hybrid-key/v1'),
  /** Whether a hub has ever registered it: no key in a lesser wrap is taken from then on. */
  registered: z.boolean(),
  held: z.discriminatedUnion('by', [
    z.strictObject({ by: z.literal('file'), seed: base64url }),
    z.strictObject({
      by: z.literal('tpm'),
      parent: z.enum(endorsementKeyKinds),
      publicArea: base64url,
      privateArea: base64url,
      authValue: base64url,
    }),
  ]),
});

type Kept = Readonly<z.infer<typeof fileSchema>>;
type Root = Pick<RootOfTrust, 'sealLocally' | 'unsealLocally'>;

export class HybridKey {
  readonly #file: string;
  readonly #rootOfTrust: Root;
  #kept: Kept;
  #publicKey: Uint8Array;

  private constructor(file: string, rootOfTrust: Root, made: { readonly kept: Kept; readonly publicKey: Uint8Array }) {
    this.#file = file;
    this.#rootOfTrust = rootOfTrust;
    this.#kept = made.kept;
    this.#publicKey = made.publicKey;
  }

  /** Opens the key, or makes one, also where it is lost. Throws `state-invalid` for a file that others can read. */
  static async open(file: string, rootOfTrust: Root, state: KeptState = new KeptState()): Promise<HybridKey> {
    const kept = await readKept(file, state);
    const publicKey = kept && (await publicKeyOf(rootOfTrust, kept));
    if (kept !== undefined && publicKey !== undefined) return new HybridKey(file, rootOfTrust, { kept, publicKey });
    const made = await makeKey(rootOfTrust, kept?.registered ?? false);
    await writeKept(file, made.kept);
    return new HybridKey(file, rootOfTrust, made);
  }

  get publicKey(): Uint8Array {
    return this.#publicKey;
  }

  /** As the hub names it, hex. */
  get sha256(): string {
    return sha256Hex(this.#publicKey);
  }

  /**
   * The types of wrapped keys to ask for. `hubKnows` is what the hub said about this device's key when it bound the connection: a hub that wraps
   * for hybrid keys, or did once, is asked for nothing less.
   */
  wraps(hubKnows: string | undefined): readonly [WrapType] {
    return hubKnows === undefined && !this.#kept.registered ? [boundWrapType] : [hybridWrapType];
  }

  /** The model key in `wrapped`, after the root of trust has opened its first layer; the caller zeroes it. Throws `wrapped-key-refused`. */
  async openWrapped(
    wrapped: WrappedKey,
    rootOfTrust: Pick<RootOfTrust, 'openKey'>,
    { context, leaseId }: { readonly context: WrapContext; readonly leaseId: string },
  ): Promise<Uint8Array> {
    const first = await rootOfTrust.openKey(wrapped, { context, leaseId });
    if (wrapped.hybrid === undefined) return first;
    const seed = await seedOf(this.#rootOfTrust, this.#kept);
    try {
      return openHybridLayer(wrapped.hybrid, { seed, psk: first, context });
    } catch (cause) {
      if (!(cause instanceof CoreError)) throw cause;
      const message = 'the second layer was made for another device, lease or use, or was altered';
      throw new HardwareError('wrapped-key-refused', message, { cause });
    } finally {
      first.fill(0);
      seed.fill(0);
    }
  }

  /** The secret by which this device shows that it has the key. */
  async openProof(deviceId: string, sealed: { readonly encapsulatedKey: string; readonly ciphertext: string }) {
    const seed = await seedOf(this.#rootOfTrust, this.#kept);
    try {
      return hybridOpen({
        seed,
        encapsulatedKey: parseBase64url(sealed.encapsulatedKey, 'encapsulated key'),
        ciphertext: parseBase64url(sealed.ciphertext, 'secret'),
        info: hybridKeyProofInfo(deviceId),
      });
    } finally {
      seed.fill(0);
    }
  }

  /** The hub has it: kept, so that a restart does not forget that no lesser wrap is taken. */
  async noteRegistered(): Promise<void> {
    if (this.#kept.registered) return;
    const kept = { ...this.#kept, registered: true };
    await writeKept(this.#file, kept);
    this.#kept = kept;
  }

  /** Another device has the same key, because a state folder was copied: this one makes its own. */
  async replace(): Promise<void> {
    const made = await makeKey(this.#rootOfTrust, this.#kept.registered);
    await writeKept(this.#file, made.kept);
    this.#kept = made.kept;
    this.#publicKey = made.publicKey;
  }
}

async function makeKey(rootOfTrust: Root, registered: boolean) {
  const seed = randomBytes(XWING_SEED_LENGTH);
  try {
    const sealed = await rootOfTrust.sealLocally?.(seed);
    const held: Kept['held'] =
      sealed === undefined ? { by: 'file', seed: toBase64url(seed) } : { by: 'tpm', ...sealDocument(sealed) };
    const kept: Kept = { type: 'edgekeep-hybrid-key/v1', registered, held };
    return { kept, publicKey: xwingPublicKey(seed) };
  } finally {
    seed.fill(0);
  }
}

/** Undefined for a key of another TPM, which comes with a copied disk: this device then makes its own. */
async function publicKeyOf(rootOfTrust: Root, kept: Kept): Promise<Uint8Array | undefined> {
  try {
    const seed = await seedOf(rootOfTrust, kept);
    try {
      return xwingPublicKey(seed);
    } finally {
      seed.fill(0);
    }
  } catch (error) {
    if (error instanceof HardwareError && error.code === 'tpm-blob-refused') return undefined;
    throw error;
  }
}

async function seedOf(rootOfTrust: Root, { held }: Kept): Promise<Uint8Array> {
  if (held.by === 'file') return parseBase64url(held.seed, 'seed of the hybrid key');
  if (rootOfTrust.unsealLocally === undefined)
    throw new HardwareError('tpm-blob-refused', 'the hybrid key was sealed by a TPM, and this root of trust is none');
  const part = (name: 'publicArea' | 'privateArea' | 'authValue') => parseBase64url(held[name], name);
  return rootOfTrust.unsealLocally({
    parent: held.parent,
    publicArea: part('publicArea'),
    privateArea: part('privateArea'),
    authValue: part('authValue'),
  });
}

function sealDocument({ parent, publicArea, privateArea, authValue }: LocalSeal) {
  return {
    parent,
    publicArea: toBase64url(publicArea),
    privateArea: toBase64url(privateArea),
    authValue: toBase64url(authValue),
  };
}

function readKept(file: string, state: KeptState): Promise<Kept | undefined> {
  const limits = { maxBytes: FILE_BYTES_MAX, forbidden: groupAndOthers };
  const refused = (problem: string, options?: ErrorOptions) =>
    new AgentError('state-invalid', `${file}: ${problem}`, options);
  return state.read('hybrid-key', file, {
    read: (path) => readPrivateFile(path, limits, refused),
    parse: (bytes) => parseJson(bytes, fileSchema, file),
    wipes: true,
  });
}

async function writeKept(file: string, kept: Kept): Promise<void> {
  const bytes = utf8(`${JSON.stringify(kept)}\n`);
  try {
    await replaceBoth(file, bytes);
  } finally {
    bytes.fill(0);
  }
}

/** Whether the hub has this very key. */
export function isKnown(key: Pick<HybridKey, 'sha256'>, hubKnows: string): boolean {
  return equalBytes(utf8(key.sha256), utf8(hubKnows));
}
