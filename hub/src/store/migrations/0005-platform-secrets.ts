// Each wrapped secret begins with the generation of the platform key that wrapped it; all that came before belong to the first.
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

/** The columns as they are at this point of the history. */
interface Wrapped {
  model_release: { name: string; version: string; wrapped_key: Uint8Array };
  device_secret: { id: string; wrapped_secret: Uint8Array };
}

const firstGeneration = Buffer.from([0, 0, 0, 1]);

export const migration: Migration = {
  async up(db: Kysely<Wrapped>): Promise<void> {
    const releases = await db.selectFrom('model_release').select(['name', 'version', 'wrapped_key']).execute();
    for (const { name, version, wrapped_key: old } of releases) {
      await db
        .updateTable('model_release')
        .set({ wrapped_key: Buffer.concat([firstGeneration, old]) })
        .where('name', '=', name)
        .where('version', '=', version)
        .execute();
    }
    const secrets = await db.selectFrom('device_secret').select(['id', 'wrapped_secret']).execute();
    for (const { id, wrapped_secret: old } of secrets) {
      await db
        .updateTable('device_secret')
        .set({ wrapped_secret: Buffer.concat([firstGeneration, old]) })
        .where('id', '=', id)
        .execute();
    }
  },
};
