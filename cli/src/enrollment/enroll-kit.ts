// `edgekeep enroll kit`: everything that a new device's agent needs, in one folder: settings, the keys that it pins, and its enrollment
// token.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { enrollmentTokenResponse } from '@edgekeep/wire/api/enrollment-token';
import { exitCodes, type Command } from '../command.ts';
import { openOperator, type Operator, operatorHelp, operatorOption } from '../operator.ts';
import { assertMeant, forceHelp } from './kit-doubts.ts';
import { type KitOrder, kitFiles, tokenFileName } from './kit-files.ts';
import { hubIn, proxyIn } from './kit-hub.ts';
import { rootOfTrustHelp, rootOfTrustIn, rootOfTrustOptions, rootOfTrustUsage } from './kit-root-of-trust.ts';

const tokenLifeSeconds = 86_400;

export const command: Command = {
  usage: `enroll kit ID --out DIR [--model NAME]… ${rootOfTrustUsage} [--idevid] [--hub HOST[:PORT]] [--proxy URL] [--force]`,
  help: `
Writes DIR with agent.json, the keys the device pins, and a one-time enrollment token (24 hours). Carry it to the device, then run
\`edgekeep agent run --state DIR\` there: the agent enrolls, attests, removes the token and serves the models. vendor-roots.json in it lists the makers that
the hub trusts: \`edgekeep doctor --vendor-roots DIR/vendor-roots.json\` there judges the device as the hub will.

--out       a folder that does not exist yet
--model     a model to run; may be repeated
${rootOfTrustHelp}
--idevid    without a token: the device has an IDevID of a manufacturer that the hub trusts (docs/manufacturing.md)
--hub       how the device reaches the hub, an IPv6 address with a port in brackets (default: the first name in the hub's certificate, its port)
--proxy     the HTTP proxy on the way there, http://HOST:PORT; where it asks for a user, docs/networks.md says what to add
${forceHelp}
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
    proxy: { type: 'string' },
    force: { type: 'boolean' },
  },
  async run(args) {
    const [deviceId = ''] = args.positionals;
    const folder = args.required('out');
    const { tier, settings: rootOfTrust, firmwareLog } = rootOfTrustIn(args);
    const operator = await openOperator(args);
    const order = {
      deviceId,
      tier,
      rootOfTrust,
      firmwareLog,
      idevid: args.flag('idevid'),
      models: args.all('model'),
      hub: hubIn(args),
      proxy: proxyIn(args),
    };
    // First: a folder that is there already costs no token.
    await mkdir(folder, { mode: 0o700 });
    const made = await writeKit(operator, { ...order, force: args.flag('force') }, folder).catch(
      async (error: unknown) => {
        await rm(folder, { recursive: true, force: true });
        throw error;
      },
    );
    const { files, makers, lines } = made;
    return {
      exitCode: exitCodes.ok,
      value: { folder, deviceId, tier, files, makers },
      text: [
        ...lines,
        `wrote ${folder}: carry it to the device and run there: edgekeep agent run --state ${folder}`,
      ].join('\n'),
    };
  },
};

async function writeKit(operator: Operator, order: KitOrder & { readonly force: boolean }, folder: string) {
  await assertMeant(operator, order);
  const { files, lines, makers } = await kitFiles(operator, order);
  for (const [name, text] of files) await writeNewFile(join(folder, name), text);
  const names = files.map(([name]) => name);
  if (order.idevid) return { files: names, lines, makers };
  // Last: what fails above costs no token.
  await writeNewFile(join(folder, tokenFileName), await newToken(operator, order.deviceId, order.tier));
  return { files: [...names, tokenFileName], lines, makers };
}

async function newToken(operator: Operator, deviceId: string, tier: string): Promise<string> {
  const order = { deviceId, tier, lifeSeconds: tokenLifeSeconds };
  const { token } = await operator.send('POST', '/v1/enrollment-tokens', order, enrollmentTokenResponse);
  return token;
}
