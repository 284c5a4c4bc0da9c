// Whether the agent of this machine would take the server at its hub's address for the hub, and who answers there otherwise: a handshake with the
// roots that this agent pins. No certificate of the device and no request is sent.
import { join, resolve } from 'node:path';
import { parseBase64url } from '@edgekeep/core/bytes';
import { endpointText } from '@edgekeep/core/canonical/endpoint';
import { withoutZone } from '@edgekeep/core/canonical/host';
import { CoreError } from '@edgekeep/core/error';
import { encodePem } from '@edgekeep/core/identity/pem';
import { parseJson } from '@edgekeep/core/json';
import { messageOf } from '@edgekeep/core/message-of';
import { failed, type Finding, ok } from '@edgekeep/host/finding';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { hostNameSchema, hostSchema } from '@edgekeep/wire/api/texts';
import { WireError } from '@edgekeep/wire/error';
import { proxySettingsSchema } from '@edgekeep/wire/link/proxy/settings';
import { openSecureSocket } from '@edgekeep/wire/link/secure-socket';
import { z } from 'zod';
import { readBounded } from '../bounded-file.ts';
import { agentProxy } from './proxy.ts';

const subject = 'hub';
const connectTimeoutMs = 10_000;
const FILE_BYTES_MAX = 1024 * 1024;

/** The agent checks the rest. */
const agentSettings = z.looseObject({
  hub: z.looseObject({
    host: hostSchema,
    port: z.int().min(1).max(65_535).default(8443),
    serverName: hostNameSchema.optional(),
    caFile: z.string(),
  }),
  proxy: proxySettingsSchema.optional(),
});
const knownRoots = z.looseObject({ roots: z.array(z.looseObject({ certificate: z.string() })) });

/** Nothing where there are no settings yet. */
export async function examineAgentHub(stateFolder: string | undefined): Promise<readonly Finding[]> {
  if (stateFolder === undefined) return [];
  const file = join(stateFolder, 'agent.json');
  const bytes = await orIfMissing(readBounded(file, FILE_BYTES_MAX), undefined);
  if (bytes === undefined) return [];
  try {
    const { hub, proxy } = parseJson(bytes, agentSettings, file);
    const { host, port, serverName = withoutZone(host), caFile } = hub;
    const pinned = Buffer.from(await readBounded(resolve(stateFolder, caFile), FILE_BYTES_MAX)).toString('utf8');
    const socket = await openSecureSocket({
      host,
      port,
      serverName,
      proxy: (await agentProxy(stateFolder, hub, proxy))?.proxy,
      authoritiesPem: [pinned, ...(await learnedRoots(stateFolder))],
      connectTimeoutMs,
      signal: new AbortController().signal,
    });
    socket.destroy();
    return [
      ok(subject, `the hub answers at ${endpointText(hub)}, with a certificate under a root that is pinned here`),
    ];
  } catch (error) {
    if (error instanceof WireError) return [failed(subject, `not reached: ${error.code}`, error.message)];
    return [failed(subject, messageOf(error), `correct ${file}, or the file that it names`)];
  }
}

/** Roots that the hub introduced later; none where there are none that can be read: the agent says so itself. */
async function learnedRoots(stateFolder: string): Promise<readonly string[]> {
  const file = join(stateFolder, 'known-roots.json');
  const bytes = await orIfMissing(readBounded(file, FILE_BYTES_MAX), undefined);
  if (bytes === undefined) return [];
  try {
    const { roots } = parseJson(bytes, knownRoots, file);
    return roots.map(({ certificate }) => encodePem('CERTIFICATE', parseBase64url(certificate, file)));
  } catch (error) {
    if (error instanceof CoreError) return [];
    throw error;
  }
}
