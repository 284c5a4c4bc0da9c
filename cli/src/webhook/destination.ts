// `edgekeep webhook add|list|remove|enable`: where alerts are sent.
import { personText } from '@edgekeep/core/person-text';
import { type Webhook, webhook, webhookList, webhookRemoved } from '@edgekeep/wire/api/webhook';
import { readBounded, readSecretFile } from '../bounded-file.ts';
import { type Arguments, type Command, exitCodes, UsageError } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { listText } from '../table.ts';

const PEM_BYTES_MAX = 65_536;
const URL_BYTES_MAX = 2_048;

export const add: Command = {
  usage:
    'webhook add NAME (--url URL | --url-file FILE) [--signing hmac-sha256|ed25519] [--min-severity SEVERITY] [--kind KIND]… [--ca FILE]',
  help: `
The hub sends each alert to this HTTPS server, signed by Standard Webhooks. It sends nothing before the webhook has a secret: webhook
roll-secret. Needs two people where there are two.

--url           where the messages go
--url-file      a file with the URL, if others may not see it
--signing       hmac-sha256 (default): receiver and hub have one secret; ed25519: the receiver has a public key
--min-severity  low (default), medium, high or critical
--kind          only alerts of this kind; may be repeated
--ca            certificates that are trusted for this server, PEM; left out: the public ones
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: {
    ...operatorOption,
    url: { type: 'string' },
    'url-file': { type: 'string' },
    signing: { type: 'string' },
    'min-severity': { type: 'string' },
    kind: { type: 'string', multiple: true },
    ca: { type: 'string' },
  },
  async run(args) {
    const [name = ''] = args.positionals;
    const ca = args.option('ca');
    const given = { signing: args.option('signing'), minSeverity: args.option('min-severity') };
    const body = {
      name,
      url: await urlIn(args),
      ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
      kinds: args.all('kind'),
      trustedPem: ca === undefined ? null : personText(await readBounded(ca, PEM_BYTES_MAX), ca),
    };
    const value = await (await openOperator(args)).send('POST', '/v1/webhooks', body, webhook);
    const next = `it gets nothing before it has a secret: edgekeep webhook roll-secret ${value.name}`;
    return { exitCode: exitCodes.ok, value, text: `${value.name} gets alerts at ${value.server}; ${next}` };
  },
};

async function urlIn(args: Arguments): Promise<string> {
  const [url, file] = [args.option('url'), args.option('url-file')];
  if ((url === undefined) === (file === undefined)) throw new UsageError('expected one of --url and --url-file');
  return url ?? personText(await readSecretFile(file ?? '', URL_BYTES_MAX), file ?? '').trim();
}

export const list: Command = {
  usage: 'webhook list',
  help: `Exit code 1 while one has dead letters, or is disabled because its receiver answered 410.\n\n${operatorHelp}`,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const { webhooks } = await (await openOperator(args)).get('/v1/webhooks', webhookList);
    const head = ['WEBHOOK', 'SERVER', 'SIGNING', 'FROM', 'STATE', 'WAITING', 'DEAD', 'PROBLEM'];
    const rows = webhooks.map((each) => [
      each.name,
      each.server,
      each.signing,
      each.minSeverity,
      stateOf(each),
      String(each.waiting),
      String(each.dead),
      each.problem ?? '',
    ]);
    const failing = webhooks.some(({ dead, disabledReason }) => dead > 0 || disabledReason !== null);
    return {
      exitCode: failing ? exitCodes.refused : exitCodes.ok,
      value: webhooks,
      text: webhooks.length === 0 ? 'no webhooks' : listText([head, ...rows]),
    };
  },
};

function stateOf({ disabledReason, secrets }: Webhook): string {
  if (disabledReason !== null) return 'disabled';
  return secrets === 0 ? 'no secret yet' : 'on';
}

export const remove: Command = {
  usage: 'webhook remove NAME',
  help: `With its secrets and with what waits for it. Needs two people where there are two.\n\n${operatorHelp}`,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [name = ''] = args.positionals;
    const path = `/v1/webhooks/${encodeURIComponent(name)}`;
    const value = await (await openOperator(args)).send('DELETE', path, undefined, webhookRemoved);
    return { exitCode: exitCodes.ok, value, text: `${value.name} gets nothing any more` };
  },
};

export const enable: Command = {
  usage: 'webhook enable NAME',
  help: operatorHelp,
  positionals: { min: 1, max: 1 },
  options: operatorOption,
  async run(args) {
    const [name = ''] = args.positionals;
    const path = `/v1/webhooks/${encodeURIComponent(name)}/enable`;
    const value = await (await openOperator(args)).send('POST', path, {}, webhook);
    return { exitCode: exitCodes.ok, value, text: `${value.name} gets alerts at ${value.server}` };
  },
};
