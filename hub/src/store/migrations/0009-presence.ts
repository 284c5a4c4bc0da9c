// Where devices are: the live bound connections of every hub node, where each device was last bound, and how certificates descend from one
// another, which tells two holders of one identity apart.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('device').addColumn('bound_address', 'text').execute();
    await db.schema.alterTable('device').addColumn('bound_at', 'bigint').execute();
    await db.schema.alterTable('device').addColumn('bound_serial', 'text').execute();
    for (const column of ['lineage', 'renewal']) {
      await db.schema
        .alterTable('certificate')
        .addColumn(column, 'integer', (c) => c.notNull().defaultTo(0))
        .execute();
    }
    await db.schema
      .createTable('hub_node')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('seen_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('presence')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('node_id', 'text', (c) => c.notNull())
      .addColumn('device_id', 'text', (c) => c.notNull())
      .addColumn('address', 'text', (c) => c.notNull())
      .addColumn('serial', 'text', (c) => c.notNull())
      .addColumn('lineage', 'integer', (c) => c.notNull())
      .addColumn('bound_at', 'bigint', (c) => c.notNull())
      .addColumn('used_at', 'bigint', (c) => c.notNull())
      .addColumn('told_at', 'bigint', (c) => c.notNull())
      .addColumn('asked', 'integer', (c) => c.notNull())
      .addColumn('rival_address', 'text')
      .addColumn('rival_serial', 'text')
      .addColumn('rival_id', 'text')
      .addColumn('contested', 'integer', (c) => c.notNull())
      .addColumn('ends', 'integer', (c) => c.notNull())
      .execute();
    await db.schema.createIndex('presence_device').on('presence').column('device_id').execute();
    await db.schema.createIndex('presence_asked').on('presence').columns(['node_id', 'asked']).execute();
    await db.schema
      .createTable('token_rival')
      .addColumn('device_id', 'text', (c) => c.primaryKey())
      .addColumn('address', 'text', (c) => c.notNull())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .execute();
  },
};
