// A page of alerts, newest first.
import { alertList, alertQuery } from '@edgekeep/wire/api/alert';
import type { z } from 'zod';
import { listAlerts } from '../../alert/alert-list.ts';
import type { Page } from '../../store/page.ts';

export const alertPage: Page<z.infer<typeof alertQuery>, typeof alertList> = {
  name: 'alerts',
  query: alertQuery,
  answer: alertList,
  make: listAlerts,
};
