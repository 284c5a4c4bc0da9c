// Device API: a device lost files of its state folder (spec/agent.md, "A lost file"), on a bound connection, after POST /v1/challenges.
import { stateRecoveryRequest, stateRecoveryResponse } from '@edgekeep/wire/api/state-recovery';
import { bodyBytes } from '../http/body-limits.ts';
import { Budgets } from '../../common/budget.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import type { DeviceDoor } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { CosignatureCollector } from '../../audit/witness.ts';
import { recoverState, type StateRecoveryDependencies } from '../../enrollment/state-recovery.ts';
import { takeChallenge } from '../../presence/connections.ts';
import type { UnwrittenCosignatures } from '../../audit/unwritten.ts';

type StateRecoveryRouteDependencies = StateRecoveryDependencies & {
  readonly clock: Clock;
  readonly door: DeviceDoor;
  readonly witnesses: Pick<CosignatureCollector, 'remove'>;
  readonly unwritten: UnwrittenCosignatures;
};

// A device asks once after a loss, and again at its check-ins while it is refused. Each answer reads all its leases, and may be an entry and an alert.
const asking = { perSecond: 1 / 60, burstSeconds: 1_800 };

export function stateRecoveryRoutes(app: HttpServer, dependencies: StateRecoveryRouteDependencies): void {
  const { clock, door, witnesses, unwritten } = dependencies;
  const budgets = new Budgets(asking);

  app.post(
    '/v1/state-recovery',
    {
      ...door.lets('bound'),
      bodyLimit: bodyBytes.evidence,
      schema: { body: stateRecoveryRequest, response: { 200: stateRecoveryResponse } },
    },
    async (request) => {
      const { connection, deviceId } = door.bound(request);
      const nowMs = clock();
      if (!budgets.spend(deviceId, nowMs))
        throw new HubError('rate-limited', `${deviceId} says too often that it lost its state: it may once a minute`);
      const taken = takeChallenge(connection, nowMs);
      const bound = { exporter: connection.exporter, pieces: connection, nowMs };
      const proof = { ...request.body, ...taken, ...bound, unwritten: unwritten.of(deviceId) };
      const { checkpoint, versions, keyReplaced } = await recoverState(dependencies, deviceId, proof);
      // On this node at once.
      if (keyReplaced) witnesses.remove(deviceId);
      return { checkpoint, versions };
    },
  );
}
