// Wires one hub together and runs it: store, keys, log, listeners. The only file of the hub that knows all its parts; `main.ts` calls it for
// the command line, the simulator calls it in process.
import { readdir, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { toHex } from '@edgekeep/core/bytes';
import { type Certificate, parseCertificate } from '@edgekeep/core/identity/certificate';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { encodeSpki, keyIdentifierOf } from '@edgekeep/core/identity/public-key';
import { tlsServerOptions } from '@edgekeep/wire/tls';
import { accessDeviceRoutes } from './access/device-routes.ts';
import { accessOperatorRoutes } from './access/operator-routes.ts';
import { PolicyStore } from './access/policy-store.ts';
import { Receipts } from './access/receipts.ts';
import { Appraiser } from './attest/appraiser.ts';
import { ReferenceStore } from './attest/reference-store.ts';
import { auditDeviceRoutes } from './audit/device-routes.ts';
import { AuditLog } from './audit/log.ts';
import { auditOperatorRoutes } from './audit/operator-routes.ts';
import { checkpointsIn, entriesIn } from './audit/store-source.ts';
import { tileRoutes } from './audit/tile-routes.ts';
import { trustSource } from './audit/trust-source.ts';
import { WitnessBoard } from './audit/witness.ts';
import { type Clock, systemClock } from './clock.ts';
import { createMetrics } from './health/metrics.ts';
import { healthRoutes } from './health/routes.ts';
import { DeviceDoor } from './http/device.ts';
import { openApiRoutes } from './http/openapi.ts';
import { requireScopeWith } from './http/operator.ts';
import { createServer, type HttpServer } from './http/server.ts';
import { issueServerCredential, recordHubCertificate } from './identity/authority.ts';
import { Connections } from './identity/connections.ts';
import { RevocationList } from './identity/crl.ts';
import { revocationStatusRoutes } from './identity/crl-routes.ts';
import { estRoutes } from './identity/est-routes.ts';
import { hubRoutes } from './identity/hub-routes.ts';
import { identityDeviceRoutes } from './identity/device-routes.ts';
import { OcspResponder } from './identity/ocsp.ts';
import { deviceOperatorRoutes } from './identity/operator-routes.ts';
import { recoveryRoutes } from './identity/recovery-routes.ts';
import { revocationOperatorRoutes } from './identity/revocation-routes.ts';
import type { CutOrder } from './identity/revocation-store.ts';
import { RevocationWatch } from './identity/revocation-watch.ts';
import { RootKeys } from './identity/root-keys.ts';
import { tokenDeviceRoutes, tokenOperatorRoutes } from './identity/token-routes.ts';
import { loadHubKeys } from './keys.ts';
import { Blobs } from './model/blobs.ts';
import { modelDeviceRoutes } from './model/device-routes.ts';
import { modelOperatorRoutes } from './model/operator-routes.ts';
import type { KeyStore } from './secrets/key-store.ts';
import { plainKeys } from './secrets/plain-keys.ts';
import { PlatformKeyRoll } from './secrets/roll-over.ts';
import { platformKeyRoutes } from './secrets/routes.ts';
import { registryDeviceRoutes } from './registry/device-routes.ts';
import { groupRoutes } from './registry/group-routes.ts';
import { importRoutes } from './registry/import-routes.ts';
import type { HubSettings } from './settings.ts';
import { Database } from './store/database.ts';

export interface Hub {
  readonly deviceAddress: { readonly host: string; readonly port: number };
  readonly operatorAddress: { readonly host: string; readonly port: number };
  /** The hub's root certificate, PEM: what devices and operators pin. */
  readonly rootPem: string;
  /** The log's verifier key (C2SP signed-note vkey). */
  readonly logKey: AuditLog['key'];
  /** The key that signs attestation results, PEM. */
  readonly attestationKeyPem: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a hub on an initialised data folder and resolves once both listeners accept. `keyStore` is taken over; without one the keys are plain files, or
 * `keys-locked` is thrown.
 */
export async function startHub(
  folder: string,
  settings: HubSettings,
  clock: Clock = systemClock,
  keyStore: KeyStore = plainKeys(join(folder, 'keys')),
): Promise<Hub> {
  const keys = await loadHubKeys(folder, keyStore);
  const vendorRoots = await readVendorRoots(join(folder, 'vendor-roots'));
  const database = await Database.open(join(folder, 'hub.sqlite'));
  const logFolder = join(folder, 'log');
  const log = await AuditLog.open({
    source: entriesIn(database),
    checkpoints: checkpointsIn(database),
    folder: logFolder,
    signer: { name: settings.logOrigin, signer: keys.logSigner },
  });
  // Entries enter the tree as they are committed, whether or not anybody waits for them.
  database.onCommit = () => log.wake();
  const policies = await PolicyStore.open(database, clock());
  const connections = new Connections();
  const references = new ReferenceStore(database, settings.pcrs);
  const keyId = toHex(keyIdentifierOf(encodeSpki(keys.attestationSigner.publicKey)));
  const rootKeys = new RootKeys();
  const appraiser = new Appraiser(references, rootKeys, keys.attestationSigner, keyId, settings.pcrs);
  const { quorum, roundSeconds } = settings.witness;
  const witnesses = new WitnessBoard({ log, quorum, roundSecondsMax: roundSeconds });
  const receipts = new Receipts(database, log, witnesses);
  const blobs = new Blobs(join(folder, 'blobs'));
  const metrics = createMetrics(connections, log);
  const door = new DeviceDoor(connections, clock, settings);
  const requireScope = requireScopeWith(database, clock);
  const trust = trustSource(database, { log: log.key, attestation: keys.attestationSigner.publicKey }, quorum);
  const { platformKey } = keys;
  const platformKeyRoll = new PlatformKeyRoll({ database, keyStore, platformKey, clock });

  const { pollMilliseconds, crlSeconds, ocspSeconds } = settings.revocation;
  const cut = ({ deviceId, serial }: CutOrder): void => {
    if (serial === undefined) witnesses.remove(deviceId);
    connections.cut(deviceId, serial);
  };
  const watch = await RevocationWatch.start(database, cut, pollMilliseconds);
  const list = new RevocationList({ database, keys, watch, clock, lifeSeconds: crlSeconds });
  const responder = new OcspResponder({ database, keys, watch, clock, answerSeconds: ocspSeconds });

  const { publicUrl } = settings;
  const credential = await issueServerCredential(keys, settings.names, { nowMs: clock(), publicUrl });
  await database.write((trx) => recordHubCertificate(trx, credential.certificate, 'server'));
  const clientAuthoritiesPem = [encodePem('CERTIFICATE', keys.root.der), encodePem('CERTIFICATE', keys.issuing.der)];
  const deviceTls = tlsServerOptions({ ...credential, clientAuthoritiesPem, clientCertificate: 'optional' });
  const operatorTls = { ...deviceTls, requestCert: false };

  const device = createServer(deviceTls, settings.logLevel, 'device');
  device.server.on('secureConnection', (socket: TLSSocket) => admit(door, socket));
  // No request of a device is answered with knowledge older than one interval; without a store none is answered.
  device.addHook('onRequest', () => watch.fresh());
  const enrolment = { database, keys, settings, vendorRoots, appraiser, witnesses, clock, door };
  identityDeviceRoutes(device, enrolment);
  recoveryRoutes(device, enrolment);
  estRoutes(device, enrolment);
  accessDeviceRoutes(device, {
    database,
    appraiser,
    rootKeys,
    policies,
    platformKey,
    settings,
    clock,
    door,
    receipts,
    countRelease: (outcome) => metrics.countRelease(outcome),
  });
  tokenDeviceRoutes(device, { database, platformKey, settings, clock, door });
  modelDeviceRoutes(device, { database, blobs, door });
  auditDeviceRoutes(device, { database, log, witnesses, clock, door });
  tileRoutes(device, logFolder);
  revocationStatusRoutes(device, { list, responder, clock, admit: (request) => void door.anyone(request) });

  const operator = createServer(operatorTls, settings.logLevel, 'operator');
  await openApiRoutes(operator);
  operator.after(() => {
    healthRoutes(operator, { database, metrics, requireScope });
    const devicePort = () => addressOf(device).port;
    hubRoutes(operator, { database, keys, names: settings.names, logKey: log.key, devicePort, requireScope });
    deviceOperatorRoutes(operator, { database, connections, witnesses, clock, requireScope });
    registryDeviceRoutes(operator, { database, connections, witnesses, clock, requireScope });
    groupRoutes(operator, { database, clock, requireScope });
    importRoutes(operator, { database, clock, requireScope });
    platformKeyRoutes(operator, platformKeyRoll, requireScope);
    tokenOperatorRoutes(operator, { database, platformKey, clock, requireScope });
    modelOperatorRoutes(operator, { database, blobs, platformKey, clock, requireScope });
    accessOperatorRoutes(operator, { database, policies, references, clock, requireScope });
    auditOperatorRoutes(operator, { database, log, receipts, trust, requireScope });
    tileRoutes(operator, logFolder);
    revocationStatusRoutes(operator, { list, responder, clock, admit: () => undefined });
    const warningDays = settings.expiryWarningDays;
    const ownCertificates = async () => [
      { name: 'root', certificate: keys.root },
      { name: 'issuing CA', certificate: keys.issuing },
      { name: 'server', certificate: credential.certificate },
      { name: 'OCSP responder', certificate: await responder.certificate() },
    ];
    const fleet = { database, connections, witnesses, watch };
    revocationOperatorRoutes(operator, { ...fleet, clock, warningDays, ownCertificates, requireScope });
  });
  for (const [name, app] of [['device', device] as const, ['operator', operator] as const]) {
    app.addHook('onResponse', async (request, reply) => {
      metrics.observeRequest(name, request.routeOptions.url ?? 'none', reply.statusCode, reply.elapsedTime / 1_000);
    });
  }

  await device.listen(settings.device);
  await operator.listen(settings.operator);
  return {
    deviceAddress: addressOf(device),
    operatorAddress: addressOf(operator),
    rootPem: encodePem('CERTIFICATE', keys.root.der),
    logKey: log.key,
    attestationKeyPem: keys.attestationSigner.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    [Symbol.asyncDispose]: async () => {
      watch[Symbol.dispose]();
      await device.close();
      await operator.close();
      await platformKeyRoll[Symbol.asyncDispose]();
      await log[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
      platformKey[Symbol.dispose]();
      await keyStore[Symbol.asyncDispose]();
    },
  };
}

// A client whose certificate can't be read is cut before it can ask for anything.
function admit(door: DeviceDoor, socket: TLSSocket): void {
  try {
    door.admit(socket);
  } catch {
    socket.destroy();
  }
}

function addressOf(app: HttpServer): { readonly host: string; readonly port: number } {
  const address: AddressInfo | string | null = app.server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the listener has no TCP address');
  return { host: address.address, port: address.port };
}

// Every *.pem in the folder: vendors' roots, and intermediates that their TPMs do not carry.
async function readVendorRoots(folder: string): Promise<readonly Certificate[]> {
  const names = await readdir(folder).catch(() => []);
  const texts = await Promise.all(
    names.filter((name) => name.endsWith('.pem')).map((name) => readFile(join(folder, name), 'utf8')),
  );
  return texts.flatMap((text) => parsePem(text, 'CERTIFICATE')).map((der) => parseCertificate(der));
}
