// Lists that a hub returns page by page.

interface Page<T> {
  readonly items: readonly T[];
  /** The value of `after` for the next page; null on the last one. */
  readonly next: string | null;
}

/** Everything, one page after the other. */
export async function pagesOf<T>(pageAfter: (after: string) => Promise<Page<T>>): Promise<readonly T[]> {
  const items: T[] = [];
  for (let after: string | null = ''; after !== null;) {
    const page: Page<T> = await pageAfter(after);
    items.push(...page.items);
    after = page.next;
  }
  return items;
}
