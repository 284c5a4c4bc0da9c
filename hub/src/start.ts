// Runs one hub: its parts, and the two listeners on them. `main.ts` calls it for the command line; the simulator calls it in process.
import { join } from 'node:path';
import { encodePem } from '@edgekeep/core/identity/pem';
import { weighBreadth } from './access/breadth-alarm.ts';
import { encodePublicKeyPem } from '@edgekeep/core/identity/public-key';
import { weighCoverage } from './attest/coverage-alarm.ts';
import type { AuditLog } from './audit/log.ts';
import { jobAlarm } from './jobs/alarm.ts';
import { AuthorityKeeper } from './jobs/authority-keeper.ts';
import { type Clock, systemClock } from './clock.ts';
import { createDeviceListener } from './doors/device/listener.ts';
import { type FolderLock, lockFolder } from './store/folder-lock.ts';
import { endConnectionsOnClose } from './doors/http/open-connections.ts';
import { type Route, routesOf } from './doors/http/route-table.ts';
import { createOperatorListener } from './doors/operator/listener.ts';
import { openParts } from './wiring.ts';
import type { KeyStore } from './secrets/key-store.ts';
import { plainKeys } from './secrets/plain-keys.ts';
import type { HubSettings } from './settings.ts';
import { raiseStoredDoubles } from './registry/stored-doubles.ts';
import { raiseKeyDoubles } from './registry/key-doubles.ts';
import { asFolderError } from './world-failure.ts';
import { addressOf, portError } from './doors/http/port.ts';
import { asHub } from './store/authority.ts';
import { findOldPaths, makerBackfill } from './enrollment/maker-backfill.ts';
import type { FolderNotices } from './vendor-root/folder.ts';
import type { VendorRootCount } from './vendor-root/vendor-roots.ts';

export interface Hub {
  readonly deviceAddress: { readonly host: string; readonly port: number };
  readonly operatorAddress: { readonly host: string; readonly port: number };
  /** The number of makers' certificates that it used when it started. */
  readonly vendorRoots: readonly VendorRootCount[];
  /** Problems of the files of makers' certificates. */
  readonly rootFolderNotices: FolderNotices;
  /** The hub's root certificate in use, PEM: what new devices and operators pin. */
  readonly rootPem: string;
  /** The log's verifier key (C2SP signed-note vkey). */
  readonly logKey: AuditLog['key'];
  /** The key that signs attestation results, PEM. */
  readonly attestationKeyPem: string;
  /** The routes of each listener, as they were registered. */
  readonly routes: { readonly device: readonly Route[]; readonly operator: readonly Route[] };
  /** Does at once the work that the hub does every `authorities.checkSeconds`. */
  readonly sweepAuthorities: () => Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a hub on an initialised data folder and resolves once both listeners accept. Takes ownership of `keyStore`; without one the keys
 * must be plain files, or `keys-locked` is thrown. Takes ownership of `lock` too; without one the folder is locked here. Throws
 * `folder-in-use`, `folder-unusable`, `port-unusable`.
 */
export async function startHub(
  folder: string,
  settings: HubSettings,
  clock: Clock = systemClock,
  keyStore: KeyStore = plainKeys(join(folder, 'keys')),
  lock?: FolderLock,
): Promise<Hub> {
  await using opened = new AsyncDisposableStack();
  opened.use(lock ?? lockFolder(folder));
  const parts = opened.use(
    await openParts(folder, settings, clock, keyStore).catch((error: unknown) => {
      throw asFolderError(folder, error);
    }),
  );
  const device = opened.adopt(createDeviceListener(parts), (app) => app.close());
  const devicePort = () => addressOf(device).port;
  const operator = opened.adopt(await createOperatorListener(parts, devicePort), (app) => app.close());
  for (const [name, app] of [['device', device] as const, ['operator', operator] as const]) {
    const open = endConnectionsOnClose(app);
    parts.blocked.onChange(() => open.end((address) => parts.blocked.has(address)));
    app.addHook('onResponse', async (request, reply) => {
      const route = request.routeOptions.url ?? 'none';
      parts.metrics.observeRequest(name, route, reply.statusCode, reply.elapsedTime / 1_000);
    });
  }
  const { database, authorities, credential, ownCertificates, vendorRoots } = parts;
  const warn = (text: string) => operator.log.warn(text);
  const keeper = new AuthorityKeeper({
    database,
    authorities,
    keyStore,
    clock,
    settings,
    credential,
    ownCertificates,
    vendorRoots,
    warn,
  });
  const { scheduler } = parts;
  scheduler.watch(jobAlarm({ database, clock, maxFailures: settings.alerts.maxJobFailures, warn }));
  const sweep = scheduler.add(keeper.job);
  await weighCoverage(database, settings, clock());
  if (settings.alerts.policyGivesAllKeys) await weighBreadth(database, parts.access.policies.current(), clock());
  await asHub(() => raiseKeyDoubles(database, clock()));
  // Work that became due while the hub was down, and work that a kill interrupted.
  await sweep.now().catch(() => undefined);
  await asHub(() => raiseStoredDoubles(database, clock()));
  for (const [name, app] of [['device', device] as const, ['operator', operator] as const]) {
    await app.listen(settings[name]).catch((error: unknown) => {
      throw portError(name, settings[name], error);
    });
  }
  // The first few at once, the rest beside the work.
  if (await asHub(() => findOldPaths(database, vendorRoots))) scheduler.add(makerBackfill(parts)).soon();
  parts.platformKeyRoll.resume();
  scheduler.start();
  const running = opened.move();
  const { keys, log } = parts;
  const { rootFolderNotices } = parts;
  return {
    vendorRoots: vendorRoots.counts(clock()),
    rootFolderNotices,
    deviceAddress: addressOf(device),
    operatorAddress: addressOf(operator),
    get rootPem() {
      return encodePem('CERTIFICATE', authorities.root.der);
    },
    logKey: log.key,
    attestationKeyPem: encodePublicKeyPem(keys.attestationSigner.publicKey),
    routes: { device: routesOf(device.server), operator: routesOf(operator.server) },
    sweepAuthorities: () => sweep.now(),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
