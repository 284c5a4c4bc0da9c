// All sites.
import { siteList } from '@edgekeep/wire/api/site';
import { z } from 'zod';
import { listSites } from '../../site/sites.ts';
import type { Page } from '../../store/page.ts';

const query = z.object({});

export const sitePage: Page<z.infer<typeof query>, typeof siteList> = {
  name: 'sites',
  query,
  answer: siteList,
  make: async (db) => ({ sites: [...(await listSites(db))] }),
};
