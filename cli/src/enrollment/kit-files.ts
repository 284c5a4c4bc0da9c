// What a new device gets from its hub, by the name of each file: settings, the keys that it pins, and the makers that the hub trusts.
import { counted } from '@edgekeep/core/counted';
import { hubView } from '@edgekeep/wire/api/hub';
import { type VendorRootKind, vendorRootTrust } from '@edgekeep/wire/api/vendor-root';
import { kitTrustFileName } from '../doctor/makers.ts';
import type { Operator } from '../operator.ts';
import { type KitHub, reachedByName } from './kit-hub.ts';
import type { KitRootOfTrust } from './kit-root-of-trust.ts';

export const tokenFileName = 'enrollment-token';

export interface KitOrder {
  readonly deviceId: string;
  readonly tier: KitRootOfTrust['tier'];
  readonly rootOfTrust: KitRootOfTrust['settings'];
  /** On the device; undefined: the kernel's. */
  readonly firmwareLog: string | undefined;
  readonly idevid: boolean;
  readonly models: readonly string[];
  /** How devices reach the hub; undefined: by its name, at its port. */
  readonly hub: KitHub | undefined;
  /** The URL of the HTTP proxy on the way there. */
  readonly proxy: string | undefined;
}

/** All files but the token; `lines` are for people, about makers and publishers that the hub trusts. */
export async function kitFiles(operator: Operator, order: KitOrder) {
  const { deviceId, tier, idevid } = order;
  const hub = await operator.get('/v1/hub', hubView);
  const { host, port = hub.devicePort } = order.hub ?? reachedByName(hub.name);
  const publishers = hub.publisherKeys.map((pem, at) => [`publisher-${at + 1}.pem`, pem] as const);
  const makers = await makersFor(operator, tier, idevid);
  const settings = {
    deviceId,
    hub: {
      host,
      port,
      serverName: hub.name,
      caFile: 'hub-ca.pem',
      logKey: hub.logKey,
      attestationKeyFiles: ['attestation-key.pem'],
    },
    ...(order.proxy === undefined ? {} : { proxy: { url: order.proxy } }),
    rootOfTrust: order.rootOfTrust,
    publisherKeyFiles: publishers.map(([name]) => name),
    models: order.models.map((name) => ({ name })),
    ...(order.firmwareLog === undefined ? {} : { measuredStart: { firmwareLogFile: order.firmwareLog } }),
  };
  const files = [
    ['agent.json', `${JSON.stringify(settings, null, 2)}\n`],
    ['hub-ca.pem', hub.root],
    ['attestation-key.pem', hub.attestationKey],
    ...publishers,
    ...makers.files,
  ] as const;
  const lines = [...makers.lines, ...(publishers.length === 0 ? [noPublisher] : [])];
  return { files, lines, makers: makers.counts };
}

// Who certifies a root of trust of this kind.
const kindsOf: Readonly<Record<KitRootOfTrust['tier'], readonly VendorRootKind[]>> = {
  tpm: ['tpm', 'idevid'],
  'secure-element': ['idevid'],
  dice: ['dice'],
  software: [],
};

const kindNames: Readonly<Record<VendorRootKind, string>> = { tpm: 'TPM', dice: 'DICE', idevid: 'IDevID' };

/** The makers that the hub trusts now, for `edgekeep doctor` on the device, and their number. */
async function makersFor(operator: Operator, tier: KitRootOfTrust['tier'], idevid: boolean) {
  const trust = await Promise.all(
    kindsOf[tier].map((kind) => operator.get(`/v1/vendor-roots/trust?kind=${kind}`, vendorRootTrust)),
  );
  const counts = trust.map(({ kind, anchors, intermediates }) => ({
    kind,
    roots: anchors.length,
    intermediates: intermediates.length,
  }));
  const asked = counts.filter(({ kind }) => kind === tier || idevid);
  const lines = asked.map(({ kind, roots, intermediates }) => {
    const text = `the hub has ${counted(roots, 'root')} and ${counted(intermediates, 'intermediate')} of ${kindNames[kind]} makers`;
    return roots === 0 && kind === tier ? `${text}: ${noRoots}` : text;
  });
  const files = trust.length === 0 ? [] : [[kitTrustFileName, `${JSON.stringify(trust)}\n`] as const];
  return { files, counts, lines };
}

const noRoots =
  'it refuses this device, unless an enrollment group has its root. `edgekeep vendor-root import` adds some (docs/vendor-roots.md)';

const noPublisher =
  'the hub trusts no publisher yet, so this device runs no model: `edgekeep publisher trust`, then make the kit or package again';
