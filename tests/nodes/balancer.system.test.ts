// The configuration of haproxy on docs/scale.md before two nodes: one of them stops, and clients are served by the other.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { ending } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { Nodes, onServer, until } from '../support/nodes.ts';

const source = '127.0.0.50';
const listener = { port: 0, proxyProtocol: { from: [source] } };
const skip = onServer.skip === false ? await skipWithout('haproxy') : onServer.skip;

/** The status of an answer through the balancer; 0 for none. */
function statusOf(port: number, ca: string): Promise<number> {
  return new Promise((resolve) => {
    const request = get(
      { host: '127.0.0.1', port, path: '/crl', ca, servername: 'localhost', agent: false },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    request.on('error', () => resolve(0));
  });
}

test('clients behind the balancer of the page go on when one of two nodes stops', { skip }, async () => {
  await using nodes = await Nodes.make('balancer');
  const file = join(nodes.folder, 'one', 'hub.json');
  const settings: object = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...settings, device: listener, operator: listener }));
  const one = await nodes.start('one');
  await nodes.join(await nodes.invite(one, 'two'), 'two', { device: listener, operator: listener });
  const two = await nodes.start('two');
  const page = await readFile(join(import.meta.dirname, '../../docs/scale.md'), 'utf8');
  const [, text = ''] = /```text\n(defaults\n.*?)```/s.exec(page) ?? [];
  const [devices, operators] = [await freePort(), await freePort()];
  const places: readonly (readonly [string, string])[] = [
    ['bind :8443', `bind 127.0.0.1:${devices}`],
    ['bind :8444', `bind 127.0.0.1:${operators}`],
    ['10.0.4.1:8443 port 9444', `127.0.0.1:${one.deviceAddress.port} port ${one.operatorAddress.port}`],
    ['10.0.4.2:8443 port 9444', `127.0.0.1:${two.deviceAddress.port} port ${two.operatorAddress.port}`],
    ['10.0.4.1:9444', `127.0.0.1:${one.operatorAddress.port}`],
    ['10.0.4.2:9444', `127.0.0.1:${two.operatorAddress.port}`],
  ];
  let here = text.replaceAll('check-send-proxy inter 2s', `check-send-proxy source ${source} inter 100ms`);
  for (const [there, place] of places) {
    assert.ok(here.includes(there), there);
    here = here.replaceAll(there, place);
  }
  const config = join(nodes.folder, 'haproxy.cfg');
  await writeFile(config, here);
  const child = spawn('haproxy', ['-db', '-f', config], { stdio: 'ignore' });
  await using _ = ending(child);
  const ask = () => statusOf(devices, one.rootPem);
  await until(ask, (status) => status === 200);
  await one[Symbol.asyncDispose]();
  // Until its probes have failed, a client in turn is sent to the node that is gone.
  const four = async () => [await ask(), await ask(), await ask(), await ask()];
  await until(four, (statuses) => statuses.every((status) => status === 200));
  const metrics = Buffer.from(await (await nodes.operator(two)).getBytes('/metrics')).toString();
  assert.match(metrics, /proxy_protocol_connections_total\{listener="device",outcome="client"\}/);
  assert.match(metrics, /proxy_protocol_connections_total\{listener="operator",outcome="local"\}/);
  assert.doesNotMatch(
    metrics,
    /proxy_protocol_connections_total\{[^}]*outcome="(?:no-header|malformed|version-1|late|unlisted)"\} [1-9]/,
  );
});
