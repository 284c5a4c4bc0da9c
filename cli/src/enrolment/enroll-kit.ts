// `edgekeep enroll kit`: everything a new device's agent needs, in one folder: settings, the keys it pins, and its enrolment token.
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { enrolmentTokenAnswer, hubView } from '@edgekeep/wire/operator-api';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, type Operator, operatorHelp, operatorOption } from '../operator.ts';
import { rootOfTrustHelp, rootOfTrustIn, rootOfTrustOptions, rootOfTrustUsage } from './kit-root-of-trust.ts';

const tokenLifeSeconds = 86_400;

export const command: Command = {
  summary: 'make the state folder of a new device',
  usage: `enroll kit ID --out DIR [--model NAME]… ${rootOfTrustUsage} [--idevid] [--hub HOST]`,
  help: `
Writes DIR with agent.json, the keys the device pins, and a one-time enrolment token (24 hours). Carry it to the device, then run
\`edgekeep agent run --state DIR\` there: the agent enrols, attests, removes the token and serves the models.

--out       a folder that does not exist yet
--model     a model to run; may be repeated
${rootOfTrustHelp}
--idevid    without a token: the device has an IDevID of a manufacturer that the hub trusts (docs/manufacturing.md)
--hub       how the device reaches the hub (default: the first name in the hub's certificate)
${operatorHelp}
`,
  positionals: { least: 1, most: 1 },
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
    const hub = await operator.get('/v1/hub', hubView);
    const token = args.flag('idevid') ? [] : [['enrolment-token', await newToken(operator, deviceId, tier)] as const];
    const publishers = hub.publisherKeys.map((pem, at) => [`publisher-${at + 1}.pem`, pem] as const);
    const settings = {
      deviceId,
      hub: {
        host: args.option('hub') ?? hub.name,
        port: hub.devicePort,
        serverName: hub.name,
        caFile: 'hub-ca.pem',
        logKey: hub.logKey,
        attestationKeyFiles: ['attestation-key.pem'],
      },
      rootOfTrust,
      publisherKeyFiles: publishers.map(([name]) => name),
      models: args.all('model').map((name) => ({ name })),
    };
    await mkdir(folder, { mode: 0o700 });
    const files = [
      ['agent.json', `${JSON.stringify(settings, null, 2)}\n`],
      ['hub-ca.pem', hub.root],
      ['attestation-key.pem', hub.attestationKey],
      ...token,
      ...publishers,
    ] as const;
    for (const [name, text] of files) await writePrivate(join(folder, name), text);
    return {
      exitCode: exitCodes.ok,
      value: { folder, deviceId, tier, files: files.map(([name]) => name) },
      text: `wrote ${folder}: carry it to the device and run there: edgekeep agent run --state ${folder}`,
    };
  },
};

async function newToken(operator: Operator, deviceId: string, tier: string): Promise<string> {
  const order = { deviceId, tier, lifeSeconds: tokenLifeSeconds };
  const { token } = await operator.send('POST', '/v1/enrolment-tokens', order, enrolmentTokenAnswer);
  return token;
}

async function writePrivate(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(text);
}
