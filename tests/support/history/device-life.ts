// A device as the hub keeps it, for the check of a history: no key while it is cut off, and every answer is that of one order of events.
import { checkLinearisable, type Model, type Operation } from './linearizable.ts';
import type { Answer, OperationKind, DeviceState, Recorded } from './history.ts';

/** A revoked device stays cut off: it would have to enroll again. */
type LifeState = DeviceState | 'revoked';

interface LifeAct {
  readonly asked: OperationKind;
  readonly answer: Answer | undefined;
  readonly client: string;
}

const life: Model<LifeState, LifeAct> = {
  initial: 'active',
  nameOf: ({ asked }) => asked,
  step(state, { asked, answer }) {
    switch (asked) {
      case 'key':
        if (answer?.kind === 'refused') return state === 'active' ? undefined : state;
        return state === 'active' ? state : undefined;
      case 'quarantine':
        return state === 'revoked' ? state : 'quarantined';
      case 'reinstate':
        return state === 'revoked' ? state : 'active';
      case 'revoke':
        return 'revoked';
      case 'look':
        return answer?.kind === 'state' && (answer.state === 'active') !== (state === 'active') ? undefined : state;
      case 'token':
        return state;
    }
  },
};

/** One line for each device whose answers no order of events explains. */
export function lifeProblems(operations: readonly Recorded[]): readonly string[] {
  const devices = Map.groupBy(
    operations.filter(({ device }) => device !== ''),
    ({ device }) => device,
  );
  return [...devices].flatMap(([device, ofDevice]) => {
    const verdict = checkLinearisable(ofDevice.map(actOf), life);
    if (verdict.kind === 'linearisable') return [];
    const { operation, states } = verdict;
    const answer = JSON.stringify(operation.act.answer);
    const when = `from ${operation.begin} to ${operation.end}`;
    return [
      `${device}: ${operation.act.client} asked ${operation.act.asked} ${when} and got ${answer}, but the device could only be ${states.join(' or ')}: ${around(ofDevice, operation)}`,
    ];
  });
}

function actOf({ asked, answer, client, begin, end }: Recorded): Operation<LifeAct> {
  return { act: { asked, answer, client }, begin, end };
}

const SHOWN_MAX = 6;

/** The last changes before the end of an operation, for a person. */
function around(operations: readonly Recorded[], { end = Infinity }: Operation<unknown>): string {
  const changes = operations.filter(({ asked, begin }) => asked !== 'key' && asked !== 'look' && begin < end);
  return changes
    .toSorted((a, b) => a.begin - b.begin)
    .slice(-SHOWN_MAX)
    .map((each) => `${each.asked} ${each.begin}-${each.end ?? 'lost'}`)
    .join(', ');
}
