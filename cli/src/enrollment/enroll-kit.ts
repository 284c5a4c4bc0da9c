// `edgekeep enroll kit`: everything that a new device's agent needs, in one folder: settings, the keys that it pins, and its enrollment
// token.
import { counted } from '@edgekeep/core/counted';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { enrollmentTokenResponse } from '@edgekeep/wire/api/enrollment-token';
import { hubView } from '@edgekeep/wire/api/hub';
import { type VendorRootKind, vendorRootTrust } from '@edgekeep/wire/api/vendor-root';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, type Operator, operatorHelp, operatorOption } from '../operator.ts';
import { kitTrustFileName } from '../doctor/makers.ts';
import {
  type KitRootOfTrust,
  rootOfTrustHelp,
  rootOfTrustIn,
  rootOfTrustOptions,
  rootOfTrustUsage,
} from './kit-root-of-trust.ts';

const tokenLifeSeconds = 86_400;
const tokenFileName = 'enrollment-token';

export const command: Command = {
  usage: `enroll kit ID --out DIR [--model NAME]… ${rootOfTrustUsage} [--idevid] [--hub HOST]`,
  help: `
Writes DIR with agent.json, the keys the device pins, and a one-time enrollment token (24 hours). Carry it to the device, then run
\`edgekeep agent run --state DIR\` there: the agent enrolls, attests, removes the token and serves the models. vendor-roots.json in it lists the makers that
the hub trusts: \`edgekeep doctor --vendor-roots DIR/vendor-roots.json\` there judges the device as the hub will.

--out       a folder that does not exist yet
--model     a model to run; may be repeated
${rootOfTrustHelp}
--idevid    without a token: the device has an IDevID of a manufacturer that the hub trusts (docs/manufacturing.md)
--hub       how the device reaches the hub (default: the first name in the hub's certificate)
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: {
    ...operatorOption,
    ...rootOfTrustOptions,
    out: { type: 'string' },
    model: { type: 'string', multiple: true },
    idevid: { type: 'boolean' },
    hub: { type: 'string' },
  },
  async run(args) {
    const [deviceId = ''] = args.positionals;
    const folder = args.required('out');
    const { tier, settings: rootOfTrust } = rootOfTrustIn(args);
    const operator = await openOperator(args);
    const order = {
      deviceId,
      tier,
      rootOfTrust,
      folder,
      idevid: args.flag('idevid'),
      models: args.all('model'),
      host: args.option('hub'),
    };
    // First: a folder that is there already costs no token.
    await mkdir(folder, { mode: 0o700 });
    const made = await writeKit(operator, order).catch(async (error: unknown) => {
      await rm(folder, { recursive: true, force: true });
      throw error;
    });
    const { files, makers, publishers } = made;
    return {
      exitCode: exitCodes.ok,
      value: { folder, deviceId, tier, files, makers: makers.counts },
      text: [
        ...makers.lines,
        ...(publishers === 0 ? [noPublisher] : []),
        `wrote ${folder}: carry it to the device and run there: edgekeep agent run --state ${folder}`,
      ].join('\n'),
    };
  },
};

interface KitOrder {
  readonly deviceId: string;
  readonly tier: KitRootOfTrust['tier'];
  readonly rootOfTrust: KitRootOfTrust['settings'];
  readonly folder: string;
  readonly idevid: boolean;
  readonly models: readonly string[];
  readonly host: string | undefined;
}

async function writeKit(operator: Operator, order: KitOrder) {
  const { deviceId, tier, folder, idevid } = order;
  const hub = await operator.get('/v1/hub', hubView);
  const publishers = hub.publisherKeys.map((pem, at) => [`publisher-${at + 1}.pem`, pem] as const);
  const makers = await makersFor(operator, tier, idevid);
  const settings = {
    deviceId,
    hub: {
      host: order.host ?? hub.name,
      port: hub.devicePort,
      serverName: hub.name,
      caFile: 'hub-ca.pem',
      logKey: hub.logKey,
      attestationKeyFiles: ['attestation-key.pem'],
    },
    rootOfTrust: order.rootOfTrust,
    publisherKeyFiles: publishers.map(([name]) => name),
    models: order.models.map((name) => ({ name })),
  };
  const files = [
    ['agent.json', `${JSON.stringify(settings, null, 2)}\n`],
    ['hub-ca.pem', hub.root],
    ['attestation-key.pem', hub.attestationKey],
    ...publishers,
    ...makers.files,
  ] as const;
  for (const [name, text] of files) await writeNewFile(join(folder, name), text);
  const names = files.map(([name]) => name);
  if (idevid) return { files: names, makers, publishers: publishers.length };
  // Last: what fails above costs no token.
  await writeNewFile(join(folder, tokenFileName), await newToken(operator, deviceId, tier));
  return { files: [...names, tokenFileName], makers, publishers: publishers.length };
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
  'the hub trusts no publisher yet, so this device runs no model: `edgekeep publisher trust`, then make the kit again';

async function newToken(operator: Operator, deviceId: string, tier: string): Promise<string> {
  const order = { deviceId, tier, lifeSeconds: tokenLifeSeconds };
  const { token } = await operator.send('POST', '/v1/enrollment-tokens', order, enrollmentTokenResponse);
  return token;
}
