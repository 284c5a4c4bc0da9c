// Lists that a hub returns page by page.
import type { ZodType } from 'zod';
import type { Operator } from './operator.ts';

interface List<Page, Item> {
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly schema: ZodType<Page>;
  readonly itemsOf: (page: Page) => readonly Item[];
}

/** Everything, one page after the other; `next` is the value of `after` for the next page, and null on the last one. */
export async function pagesOf<Page extends { readonly next: string | number | null }, Item>(
  operator: Pick<Operator, 'get'>,
  { path, query = {}, schema, itemsOf }: List<Page, Item>,
): Promise<readonly Item[]> {
  const items: Item[] = [];
  for (let after: string | number | null = ''; after !== null;) {
    const search = new URLSearchParams({ ...query, limit: '1000', after: String(after) });
    const page: Page = await operator.get(`${path}?${search.toString()}`, schema);
    items.push(...itemsOf(page));
    after = page.next;
  }
  return items;
}
