// Reference values of one DICE layer (spec/reference-values.md, "Layers"): its allowed firmware, minimum version and state.
import { z } from 'zod';
import { operationalFlags } from './flags.ts';
import { isFwidText } from './fwid.ts';

const LAYERS_MAX = 64;
const ALTERNATIVES_MAX = 64; // acceptable builds of one layer
const FWIDS_MAX = 16; // digests of one build

const text = z.string().min(1).max(256);

const layerSchema = z.strictObject({
  layer: z.int().min(0),
  /** Left out: 0. */
  index: z.int().min(1).optional(),
  /** For people: the purpose of this layer. */
  name: z.string().min(1).max(128),
  vendor: text.optional(),
  model: text.optional(),
  /** Acceptable builds: each the whole list of FWIDs, in the order the layer states them, as `sha384:<hex>`. */
  fwids: z
    .array(
      z
        .array(z.string().refine(isFwidText, 'expected an algorithm and as many hex digits as it has'))
        .min(1)
        .max(FWIDS_MAX),
    )
    .min(1)
    .max(ALTERNATIVES_MAX),
  /** The lowest security version number; left out: any, or none. */
  svnLeast: z.int().min(0).optional(),
  /** Operational flags that may be set; all others must not. */
  flagsAllowed: z
    .array(z.enum(operationalFlags))
    .min(1)
    .refine((flags) => new Set(flags).size === flags.length, 'a flag is named twice')
    .optional(),
});

export type ReferenceLayer = Readonly<z.infer<typeof layerSchema>>;

export const referenceLayersSchema = z
  .array(layerSchema)
  .min(1)
  .max(LAYERS_MAX)
  .refine(
    (layers) => layers.every((layer, at) => at === 0 || isAfter(layer, layers[at - 1])),
    'layers must ascend, without duplicates',
  );

function isAfter(layer: ReferenceLayer, last: ReferenceLayer | undefined): boolean {
  if (last === undefined || layer.layer > last.layer) return true;
  return layer.layer === last.layer && (layer.index ?? 0) > (last.index ?? 0);
}
