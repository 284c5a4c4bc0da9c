// `edgekeep hub invite` and `edgekeep hub nodes list|remove`: the nodes of a hub on PostgreSQL (docs/nodes.md). The code of an invitation is made
// here; the hub gets its public key and never sees the text.
import { counted } from '@edgekeep/core/counted';
import { encodeJoinCode, joinCodePublicKey, joinSecretLength } from '@edgekeep/core/authority/join-code';
import { toBase64url } from '@edgekeep/core/bytes';
import { parseCertificate, certificateDigest } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { writeNewFile } from '@edgekeep/host/durable-file';
import { inviteResponse, nodeList, removeNodeResponse } from '@edgekeep/wire/api/node';
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { z } from 'zod';
import { type Command, exitCodes } from '../command.ts';
import { secondsIn } from '../number-option.ts';
import { openOperator, operatorFileOf, operatorFromFile, operatorHelp, operatorOption } from '../operator.ts';
import { operatorAddress } from '../operator-file.ts';
import { readJson } from '../person-file.ts';
import { HubRefusal } from '../refusal.ts';
import { table, timeText } from '../table.ts';
import { onlyFromHere } from './only-from-here.ts';

export const invite: Command = {
  usage: 'hub invite NAME --out FILE [--hours N]',
  help: `
Writes a code with which one machine joins as the node NAME (edgekeep hub join), once. It has the address of the hub from your operator file and
the SHA-256 of its root. A machine that has it becomes a node and gets the hub's keys: carry it as a password.

NAME      of the node, for ever: 1 to 63 of a-z, 0-9, dot and dash
--out     the file for the code; it must not exist
--hours   how long the code is valid, at most 24 (default: 1)
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, out: { type: 'string' }, hours: { type: 'string' } },
  async run(args) {
    const [name = ''] = args.positionals;
    const out = args.required('out');
    const lifeSeconds = secondsIn(args, 'hours', 'hours') ?? 3_600;
    const file = operatorFileOf(args);
    const { url, serverName, root } = await readJson(file, operatorAddress, `operator file ${file}`);
    const code = { rootSha256: digestOf(root), secret: randomBytes(joinSecretLength), url, serverName };
    // Before the hub knows it: a code that the hub accepts must not be lost to a full disk.
    await writeNewFile(out, `${encodeJoinCode(code)}\n`);
    try {
      const operator = await operatorFromFile(file);
      const body = { name, publicKey: toBase64url(joinCodePublicKey(code)), lifeSeconds };
      const value = await operator.send('POST', '/v1/nodes/invitations', body, inviteResponse);
      const text = `wrote ${out}: the code for node ${name}, valid until ${timeText(value.expiresAt)} UTC\non the new machine: edgekeep hub join --code-file ${out} --unlock passphrase`;
      return { exitCode: exitCodes.ok, value: { ...value, out }, text: text + onlyFromHere(url) };
    } catch (error) {
      // A request that waits for its second person makes this code valid later.
      const waits = error instanceof HubRefusal && error.status === 202;
      if (!waits) await rm(out, { force: true });
      throw error;
    }
  },
};

/** Of the root in use: in a file with several it is the last. */
function digestOf(rootPem: string): Uint8Array {
  const der = parsePem(rootPem, 'CERTIFICATE').at(-1);
  if (der === undefined) throw new TypeError('an operator file without a root');
  return certificateDigest(parseCertificate(der));
}

type NodeView = z.infer<typeof nodeList>['nodes'][number];

export const list: Command = {
  usage: 'hub nodes list',
  help: `
Lists the nodes of the hub: state, version, when each was seen, how many entries of the log it lacks, its connections of devices. A hub whose store is
a file has one process and no nodes. Exit code 1 while a node is silent.
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const operator = await openOperator(args);
    const value = await operator.get('/v1/nodes', nodeList);
    const { nodes, self, keysVersion } = value;
    const silent = nodes.some(({ state }) => state === 'silent');
    const head = ['node', 'state', 'version', 'seen', 'log', 'keys', 'connections', 'devices at', 'operators at'];
    const rows = nodes.map((node) => rowOf(node, node.name === self, keysVersion));
    const text = nodes.length === 0 ? 'the store of this hub is a file: it has one process' : table([head, ...rows]);
    return { exitCode: silent ? exitCodes.refused : exitCodes.ok, value, text };
  },
};

function rowOf(node: NodeView, isSelf: boolean, keysVersion: number): readonly string[] {
  const { name, state, version, silentSeconds, logLag, connections, addresses, removedAt } = node;
  const seen = silentSeconds === null ? 'never' : `${silentSeconds} s ago`;
  return [
    isSelf ? `${name} (answers)` : name,
    state,
    version,
    removedAt === null ? seen : `removed ${timeText(removedAt)}`,
    logLag === 0 ? 'complete' : `lacks ${counted(logLag, 'entry', 'entries')}`,
    node.keysVersion === keysVersion ? 'current' : `version ${node.keysVersion} of ${keysVersion}`,
    String(connections),
    addresses?.device ?? '',
    addresses?.operator ?? '',
  ];
}

export const remove: Command = {
  usage: 'hub nodes remove NAME --reason TEXT',
  help: `
Ends a node for ever: its process stops within a second, and the hub's keys are sealed anew for the others. What it knew, it knows: after a theft
follow docs/nodes.md, "A stolen node". Ask another node than the one to be removed.

NAME        of the node (edgekeep hub nodes list)
--reason    why; recorded in the audit log
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: { ...operatorOption, reason: { type: 'string' } },
  async run(args) {
    const [name = ''] = args.positionals;
    const operator = await openOperator(args);
    const path = `/v1/nodes/${encodeURIComponent(name)}/remove`;
    const value = await operator.send('POST', path, { reason: args.required('reason') }, removeNodeResponse);
    const text = `removed ${name}: it ends now, and its machine gets no key that is made later`;
    return { exitCode: exitCodes.ok, value, text };
  },
};
