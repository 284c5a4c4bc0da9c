// Which devices reference values are for (spec/reference-values.md, "Target"): by facts that the verifier decides or measures, never by what a
// device says of itself.
import { z } from 'zod';

const NAMES_MAX = 32;
// The facts it is compared with are in this form, too.
const name = z
  .string()
  .min(1)
  .max(128)
  .refine((text) => text.normalize('NFC') === text, 'Unicode normal form C is expected');

/** Each member that is given must apply; of a list, one name is enough. */
export interface ReferenceTarget {
  /** Common names in the IDevID that the device proved. */
  readonly products?: readonly string[] | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

export const referenceTargetSchema = z
  .strictObject({
    products: z.array(name).min(1).max(NAMES_MAX).optional(),
    groups: z.array(name).min(1).max(NAMES_MAX).optional(),
    tags: z.record(name, z.string().max(256)).optional(),
  })
  .refine(
    ({ products, groups, tags }) =>
      products !== undefined || groups !== undefined || Object.keys(tags ?? {}).length > 0,
    'a target names a product, a group or a tag',
  )
  .refine(({ tags }) => Object.keys(tags ?? {}).length <= NAMES_MAX, `at most ${NAMES_MAX} tags`);

/** What decides whether a device is in a target. */
export interface TargetFacts {
  readonly product: string | undefined;
  /** By decision; claim groups are no groups here. */
  readonly groups: ReadonlySet<string>;
  readonly tags: Readonly<Record<string, string>>;
}

export function isTargeted(target: ReferenceTarget | undefined, device: TargetFacts): boolean {
  if (target === undefined) return true;
  const { products, groups, tags = {} } = target;
  if (products !== undefined && (device.product === undefined || !products.includes(device.product))) return false;
  if (groups !== undefined && !groups.some((each) => device.groups.has(each))) return false;
  return Object.entries(tags).every(([key, value]) => Object.hasOwn(device.tags, key) && device.tags[key] === value);
}

/** `product Press 4, group line, tag owner=ada`, for people. */
export function targetText({ products = [], groups = [], tags = {} }: ReferenceTarget): string {
  const lists = [
    ...(products.length === 0 ? [] : [`product ${products.join(' or ')}`]),
    ...(groups.length === 0 ? [] : [`group ${groups.join(' or ')}`]),
    ...Object.entries(tags).map(([key, value]) => `tag ${key}=${value}`),
  ];
  return lists.join(', ');
}
