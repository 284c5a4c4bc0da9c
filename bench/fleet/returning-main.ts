// One process of a fleet that loses its hub: `returning-main.ts FLEET_FILE HOST PORT FROM TO` plays the devices from FROM to before TO, by
// orders over IPC.
import { readFileSync } from 'node:fs';
import type { FleetFile } from './member.ts';
import { type Returned, ReturningFleet } from './returning.ts';

export type ReturningOrder =
  | { readonly kind: 'power-on'; readonly withinSeconds: number }
  | { readonly kind: 'mark' }
  | { readonly kind: 'settled'; readonly maxSeconds: number };

export type ReturningAnswer = Returned | 'done';

const [fleetPath = '', host = '', ...numbers] = process.argv.slice(2);
const [port = 0, from = 0, to = 0] = numbers.map(Number);
const whole: FleetFile = JSON.parse(readFileSync(fleetPath, 'utf8'));
const fleet = new ReturningFleet({ ...whole, members: whole.members.slice(from, to) }, { host, port });

process.on('message', (order: ReturningOrder) => {
  void obey(order).then(
    (answer) => process.send?.({ kind: 'done', answer }),
    (error: unknown) => process.send?.({ kind: 'failed', message: String(error) }),
  );
});
// The fleet writes nothing to disk: it may end at any point.
process.once('disconnect', () => process.exit(0));

async function obey(order: ReturningOrder): Promise<ReturningAnswer> {
  switch (order.kind) {
    case 'power-on':
      fleet.powerOn(order.withinSeconds);
      return 'done';
    case 'mark':
      fleet.mark();
      return 'done';
    case 'settled':
      return fleet.settled(order.maxSeconds);
  }
}
