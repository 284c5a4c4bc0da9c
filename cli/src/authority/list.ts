// `edgekeep authority list` and `authority pending`: the authorities of a hub, and the devices that do not know the newest root yet.
import { toHex } from '@edgekeep/core/bytes';
import { certificateDigest, parseCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { authorityOverview, hubKeysView, type HubKeysView, pendingDevices } from '@edgekeep/wire/api/authority';
import { type Arguments, exitCodes, type Command } from '../command.ts';
import { hubAddress, openOperator, type Operator, operatorHelp, operatorOption } from '../operator.ts';
import { HubRefusal } from '../refusal.ts';
import { table, timeText } from '../table.ts';
import { overviewOutcome, signaturesPending } from './overview.ts';

export const list: Command = {
  usage: 'authority list',
  help: operatorHelp,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const overview = await (await openOperator(args)).get('/v1/authorities', authorityOverview);
    const outcome = overviewOutcome(overview);
    const known = await knownRoots(args);
    const unknown = overview.roots.filter(({ status, sha256 }) => status !== 'dropped' && !known.includes(sha256));
    const hint = unknown.map(
      ({ version }) => `\nthis operator file does not know root ${version}: edgekeep authority trust`,
    );
    return { ...outcome, text: outcome.text + hint.join('') };
  },
};

export const pending: Command = {
  usage: 'authority pending [--after ID] [--limit N]',
  help: `
What the root has to sign or the hub has to activate, and the devices that may connect and have not shown that they know the newest root.
Exit code 1 when there are any: an issuing CA under that root is then not activated without --force.

--after  continue after this id
--limit  how many at most; not above 1000 (default: 100)

${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: { ...operatorOption, after: { type: 'string' }, limit: { type: 'string' } },
  async run(args) {
    const query = new URLSearchParams({ after: args.option('after') ?? '', limit: args.option('limit') ?? '100' });
    const operator = await openOperator(args);
    const overview = await operator.get('/v1/authorities', authorityOverview);
    const { pending: ofKeys } = await keysOf(operator);
    const signatures = [...signaturesPending(overview), ...ofKeys];
    const missing = await operator.get(`/v1/authorities/pending?${query.toString()}`, pendingDevices);
    const value = { ...missing, signatures };
    const rows = value.devices.map(({ id, tier, seenAt, rootVersion }) => [
      id,
      tier,
      timeText(seenAt),
      String(rootVersion),
    ]);
    const more = value.next === null ? '' : `\nmore: --after ${value.next}`;
    const known = value.devices.length === 0;
    const devices = known
      ? 'every device knows the newest root'
      : table([['DEVICE', 'TIER', 'SEEN (UTC)', 'KNOWS ROOT'], ...rows]) + more;
    const none = known && signatures.length === 0;
    const text = [...signatures, devices].join('\n');
    return { exitCode: none ? exitCodes.ok : exitCodes.refused, value, text };
  },
};

/** What the hub says of its key list; nothing, where it is of the version before. */
async function keysOf(operator: Operator): Promise<Pick<HubKeysView, 'pending'>> {
  try {
    return await operator.get('/v1/authorities/keys', hubKeysView);
  } catch (error) {
    if (error instanceof HubRefusal && error.code === 'not-found') return { pending: [] };
    throw error;
  }
}

/** SHA-256 of the roots in the operator file. */
async function knownRoots(args: Arguments): Promise<readonly string[]> {
  const { root } = await hubAddress(args);
  return parsePem(root, 'CERTIFICATE').map((der) => toHex(certificateDigest(parseCertificate(der))));
}
