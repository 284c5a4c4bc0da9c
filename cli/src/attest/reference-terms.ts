// Options of the verbs that make reference values: when a set counts, and for which devices (spec/reference-values.md).
import type { ReferenceTarget } from '@edgekeep/core/attest/reference-target';
import type { ReferenceTerms } from '@edgekeep/core/attest/reference-values';
import { type Arguments, UsageError } from '../command.ts';

export const termsOptions = {
  'lowest-version': { type: 'string' },
  'not-before': { type: 'string' },
  'not-after': { type: 'string' },
  product: { type: 'string', multiple: true },
  group: { type: 'string', multiple: true },
  tag: { type: 'string', multiple: true },
} as const;

export const termsHelp = `--lowest-version V  no older release of this name counts, from the moment at which this one does
--not-before TIME   when the set begins to count: 2026-07-01 or 2026-07-01T12:00:00Z (default: at once)
--not-after TIME    when it ends to count (default: never)
--product NAME      only for devices whose IDevID has this common name; may be repeated: one is enough
--group NAME        only for devices in this group; may be repeated: one is enough
--tag KEY=VALUE     only for devices with this tag; may be repeated: all must be there`;

export function termsOf(args: Arguments): ReferenceTerms {
  const lowestVersion = args.option('lowest-version');
  const notBefore = timeOf('not-before', args.option('not-before'));
  const notAfter = timeOf('not-after', args.option('not-after'));
  const target = targetOf(args);
  return {
    ...(lowestVersion === undefined ? {} : { lowestVersion }),
    ...(notBefore === undefined ? {} : { notBefore }),
    ...(notAfter === undefined ? {} : { notAfter }),
    ...(target === undefined ? {} : { target }),
  };
}

function targetOf(args: Arguments): ReferenceTarget | undefined {
  const products = args.all('product');
  const groups = args.all('group');
  const tags = args.all('tag').map(tagOf);
  if (products.length + groups.length + tags.length === 0) return undefined;
  return {
    ...(products.length === 0 ? {} : { products }),
    ...(groups.length === 0 ? {} : { groups }),
    ...(tags.length === 0 ? {} : { tags: Object.fromEntries(tags) }),
  };
}

function tagOf(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`--tag: expected KEY=VALUE, found ${text}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function timeOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Math.floor(Date.parse(text) / 1_000);
  if (!/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?$/.test(text) || Number.isNaN(seconds))
    throw new UsageError(`--${option}: expected 2026-07-01 or 2026-07-01T12:00:00Z, found ${text}`);
  return seconds;
}
