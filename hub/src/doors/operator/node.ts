// Operator API: the nodes of a hub, and how a new one joins (spec/platform-secrets.md, "A code to join").
import { parseBase64url, toHex } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { certificateDigest } from '@edgekeep/core/identity/certificate';
import { encodePem } from '@edgekeep/core/identity/pem';
import * as api from '@edgekeep/wire/api/node';
import { channelBinding } from '@edgekeep/wire/link/channel-binding';
import { TLSSocket } from 'node:tls';
import { z } from 'zod';
import type { Authorities } from '../../authority/authorities.ts';
import { HubError } from '../../common/error.ts';
import { joinNode } from '../../node/join.ts';
import { listNodes } from '../../node/nodes.ts';
import type { NodeSubject } from '../../node/open.ts';
import { inviteNode, type NodeOrderDependencies, removeNode } from '../../node/orders.ts';
import { type HubSettings, sharedSettings } from '../../settings.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { HttpServer } from '../http/server.ts';
import type { StoreRouteDependencies } from './door.ts';

const byName = z.strictObject({ name: api.nodeNameSchema });

export interface NodeRouteDependencies extends StoreRouteDependencies {
  /** Undefined at a hub on SQLite, which has one node. */
  readonly node: NodeSubject | undefined;
  readonly authorities: Authorities;
  readonly settings: HubSettings;
}

export function nodeRoutes(app: HttpServer, dependencies: NodeRouteDependencies): void {
  addList(app, dependencies);
  addOrders(app, dependencies);
  addJoin(app, dependencies);
}

function addList(app: HttpServer, { node, database, requireScope }: NodeRouteDependencies): void {
  app.get('/v1/nodes', { ...requireScope('devices:read'), schema: { response: { 200: api.nodeList } } }, async () => {
    if (node === undefined) return { nodes: [], self: null, keysVersion: 0 };
    const slots = node.keys.areShared ? node.keys.document.nodes : [];
    const nodes = await listNodes(database.read, database.clock, slots);
    return { nodes: nodes.map(viewOf), self: node.name, keysVersion: node.keys.version };
  });
}

function viewOf(node: Awaited<ReturnType<typeof listNodes>>[number]): z.infer<typeof api.nodeView> {
  const { id, name, state, version, addresses = null, logLag, connections, keysVersion, silentMs } = node;
  return {
    id,
    name,
    state,
    version,
    addresses,
    logLag,
    connections,
    keysVersion,
    joinedAt: node.joinedAtMs,
    seenAt: node.seenAtMs ?? null,
    silentSeconds: silentMs === undefined ? null : Math.round(silentMs / 1_000),
    removedAt: node.removedAtMs ?? null,
  };
}

function addOrders(app: HttpServer, dependencies: NodeRouteDependencies): void {
  const admin = dependencies.requireScope('admin');

  app.post(
    '/v1/nodes/invitations',
    {
      ...admin,
      bodyLimit: bodyBytes.order,
      schema: { body: api.inviteRequest, response: { 200: api.inviteResponse } },
    },
    async ({ body, actor }) => {
      const { name, id, expiresAt } = await inviteNode(ordersOf(dependencies), { ...body, actor });
      return { name, code: id, expiresAt };
    },
  );

  app.post(
    '/v1/nodes/:name/remove',
    {
      ...admin,
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: api.removeNodeRequest, response: { 200: api.removeNodeResponse } },
    },
    async ({ params: { name }, body: { reason }, actor }) => {
      const { keysVersion } = await removeNode(ordersOf(dependencies), { name, reason, actor });
      return { name, removed: true as const, keysVersion };
    },
  );
}

function addJoin(app: HttpServer, dependencies: NodeRouteDependencies): void {
  const { authorities, settings } = dependencies;
  const rootPem = () => encodePem('CERTIFICATE', authorities.root.der);

  app.get('/v1/join', { schema: { response: { 200: api.joinRoot } } }, async () => ({ root: rootPem() }));

  app.post(
    '/v1/join',
    { bodyLimit: bodyBytes.order, schema: { body: api.joinRequest, response: { 200: api.joinResponse } } },
    async ({ body: { code, nodeKey, signature }, raw: { socket } }) => {
      if (!(socket instanceof TLSSocket)) throw new TypeError('the operator listener takes TLS alone');
      const joining = { code, ...bytesOf({ nodeKey, signature }) };
      const root = toHex(certificateDigest(authorities.root));
      const joined = await joinNode(ordersOf(dependencies), { ...joining, root, binding: channelBinding(socket) });
      const { id, name, keys } = joined;
      const issuing = authorities.state.trusted.map(({ certificate }) => encodePem('CERTIFICATE', certificate.der));
      return {
        node: { id, name },
        keys,
        settings: sharedSettings(settings),
        root: rootPem(),
        issuing: issuing.join(''),
      };
    },
  );
}

function bytesOf({ nodeKey, signature }: { readonly nodeKey: string; readonly signature: string }) {
  try {
    return { nodeKey: parseBase64url(nodeKey, 'nodeKey'), signature: parseBase64url(signature, 'signature') };
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new HubError('request-invalid', cause.message, { cause });
  }
}

function ordersOf({ node, database, clock }: NodeRouteDependencies): NodeOrderDependencies {
  if (node !== undefined) return { database, clock, keys: node.keys, self: node.id };
  throw new HubError(
    'conflict',
    'this hub has its store in a file, which one node uses: move it to PostgreSQL first (`edgekeep hub move-store`, docs/nodes.md)',
  );
}
