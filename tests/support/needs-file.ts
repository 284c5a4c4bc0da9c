// For tests of what reads the file of a SQLite store and no database yet: `hub check` and backups.
import { testEngine } from '@edgekeep/hub/store/testing-place';

export const needsFile: { readonly skip: string | false } = {
  skip: testEngine === 'postgres' ? 'hub check and hub backup read the file of a SQLite store' : false,
};
