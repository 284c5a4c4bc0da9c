// One DICE layer in an attestation result: the firmware that was found in it, without the certificate.
import { sha256Hex } from '../../digest.ts';
import { z } from 'zod';
import type { DiceLayer } from './chain.ts';

export const appraisedLayerSchema = z.strictObject({
  layer: z.int().min(0),
  index: z.int().min(0),
  svn: z.int().min(0).optional(),
  /** SHA-256 of the DER of its DiceTcbInfo, hex. */
  'tcb-info': z.string().regex(/^[0-9a-f]{64}$/),
});

export type AppraisedLayer = Readonly<z.infer<typeof appraisedLayerSchema>>;

export function appraisedLayerOf({ layer, index, tcbInfo }: DiceLayer): AppraisedLayer {
  const digest = sha256Hex(tcbInfo.der);
  return { layer, index, 'tcb-info': digest, ...(tcbInfo.svn === undefined ? {} : { svn: tcbInfo.svn }) };
}
