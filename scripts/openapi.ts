// Writes spec/openapi/operator.json and device.json: the documents that both listeners of a hub serve at /openapi.json.
// Run it after a change of a route, a message or a closed list. tests/openapi/documents.system.test.ts compares the files with a running hub.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { servedDocuments } from '../tests/openapi/served.ts';
import { HubWorld } from '../tests/support/hub-world.ts';

await using world = await HubWorld.open();
for (const [listener, text] of Object.entries(await servedDocuments(world)))
  writeFileSync(join(import.meta.dirname, `../spec/openapi/${listener}.json`), text);
