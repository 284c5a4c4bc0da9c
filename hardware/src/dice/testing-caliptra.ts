// A chip with a Caliptra root of trust in software, for tests and demonstrations: certificates in the form that Caliptra 1.x issues. The
// maker certifies the IDevID, which certifies the LDevID, and neither has a TcbInfo. The FMC alias has several, and changes with firmware,
// as does everything above it. Evidence is signed by a leaf below the RT alias, as the DICE Protection Environment of Caliptra issues it.
import { createHash, createHmac, type KeyObject } from 'node:crypto';
import { fwidAlgorithms } from '@edgekeep/core/attest/dice/fwid';
import { aliasProfile, identityProfile, multiLayerProfile } from '@edgekeep/core/attest/dice/testing-profile';
import type { TcbInfo } from '@edgekeep/core/attest/dice/tcb-info';
import { encodeTcbInfo } from '@edgekeep/core/attest/dice/testing-tcb-info';
import { deriveP256Key } from '@edgekeep/core/identity/derived-key';
import { concat, utf8 } from '@edgekeep/core/bytes';
import type { CertificateTemplate } from '@edgekeep/core/identity/issue';
import type { DiceHandoff } from './handoff.ts';
import { type DiceVendor, inputFor, issued } from './testing-simulator.ts';

export interface CaliptraFirmware {
  readonly fmc: Uint8Array;
  readonly runtime: Uint8Array;
  /** The last measurement of the runtime: the environment of the agent. */
  readonly payload: Uint8Array;
  readonly svn: number;
}

/** Lets a test issue certificates of this kind in a different way. */
export type CaliptraAlteration = (
  template: CertificateTemplate,
  kind: 'idevid' | 'ldevid' | 'fmc' | 'runtime' | 'payload',
) => CertificateTemplate;

/** One chip. `fieldEntropy` is what an owner burns in: other entropy gives another LDevID. */
export class CaliptraSimulator {
  readonly #vendor: DiceVendor;
  readonly #uniqueDeviceSecret: Uint8Array;
  readonly #fieldEntropy: Uint8Array;

  /** Both secrets are 32 random bytes. */
  constructor(vendor: DiceVendor, uniqueDeviceSecret: Uint8Array, fieldEntropy: Uint8Array) {
    this.#vendor = vendor;
    this.#uniqueDeviceSecret = uniqueDeviceSecret;
    this.#fieldEntropy = fieldEntropy;
  }

  async boot(firmware: CaliptraFirmware, alter: CaliptraAlteration = (template) => template): Promise<DiceHandoff> {
    const ueid = concat(
      Uint8Array.of(1),
      createHash('sha256').update(this.#uniqueDeviceSecret).digest().subarray(0, 16),
    );
    const idevidKey = deriveP256Key(this.#uniqueDeviceSecret, 'Caliptra IDevID');
    const idevid = await this.#vendor.sign(
      alter(identityProfile(inputFor(idevidKey), this.#vendor.root, ueid), 'idevid'),
    );
    const owner = createHmac('sha256', this.#uniqueDeviceSecret).update(this.#fieldEntropy).digest();
    const ldevidKey = deriveP256Key(owner, 'Caliptra LDevID');
    const ldevid = await issued(alter(identityProfile(inputFor(ldevidKey), idevid, ueid), 'ldevid'), idevidKey);

    const fmcInfos = [{ ...measured(utf8('fuses')), type: utf8('DEVICE_INFO') }, measured(firmware.fmc, firmware.svn)];
    const fmc = layerOf(owner, fmcInfos);
    const fmcTemplate = multiLayerProfile(inputFor(fmc.key), ldevid, fmcInfos, ueid);
    const fmcAlias = await issued(alter(fmcTemplate, 'fmc'), ldevidKey);

    const runtimeInfos = [measured(firmware.runtime, firmware.svn)];
    const runtime = layerOf(fmc.secret, runtimeInfos);
    const runtimeTemplate = multiLayerProfile(inputFor(runtime.key), fmcAlias, runtimeInfos, ueid);
    const runtimeAlias = await issued(alter(runtimeTemplate, 'runtime'), fmc.key);

    const payloadInfo = measured(firmware.payload);
    const payload = layerOf(runtime.secret, [payloadInfo]);
    const payloadTemplate = aliasProfile(inputFor(payload.key), runtimeAlias, payloadInfo);
    const leaf = await issued(alter(payloadTemplate, 'payload'), runtime.key);
    const chain = [leaf, runtimeAlias, fmcAlias, ldevid, idevid].map(({ der }) => der);
    return { chain, aliasKey: payload.key };
  }
}

// Caliptra states neither vendor, model nor layer.
function measured(image: Uint8Array, svn?: number): TcbInfo {
  const digest = createHash('sha384').update(image).digest();
  const fwids = [{ algorithm: fwidAlgorithms.sha384.oid, digest }];
  return svn === undefined ? { fwids } : { svn, fwids };
}

function layerOf(
  below: Uint8Array,
  infos: readonly TcbInfo[],
): { readonly secret: Uint8Array; readonly key: KeyObject } {
  const identifier = createHash('sha256')
    .update(concat(...infos.map(encodeTcbInfo)))
    .digest();
  const secret = createHmac('sha256', below).update(identifier).digest();
  return { secret, key: deriveP256Key(secret, 'Caliptra alias') };
}
