// What a request costs the hub, charged to its payer while the hub works on it, so that a client that goes away pays as well.
import { performance } from 'node:perf_hooks';
import type { FastifyRequest } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { actingNow } from '../../store/authority.ts';
import { worked } from '../../store/work.ts';

// What HTTP and the look-up of a token take before anything is measured, and what encryption takes: on the machine of docs/performance.md.
const requestMilliseconds = 0.3;
const megabyteMilliseconds = 2;

/** For the hook that learns the payer. A door that knows better who pays changes `request.payer`; from then on that one is charged. */
export function chargePayer(request: FastifyRequest): void {
  actingNow()?.chargeTo((milliseconds) => request.payer.class.chargeWork(request.payer.key, milliseconds));
}

/** Runs work of a body, which arrives in events that do not know their request. */
export function workedFor({ payer }: FastifyRequest, work: () => void): void {
  const beganMs = performance.now();
  try {
    work();
  } finally {
    payer.class.chargeWork(payer.key, performance.now() - beganMs);
  }
}

/** Charges what each request costs, before it is worked on. */
export function chargeRequest({ payer }: FastifyRequest): void {
  payer.class.chargeWork(payer.key, requestMilliseconds);
}

/** A hook of `onSend`: charges the bytes of the answer. */
export async function chargeAnswer(request: FastifyRequest, _reply: unknown, payload: unknown): Promise<void> {
  const payer: FastifyRequest['payer'] | undefined = request.payer;
  const bytes = typeof payload === 'string' || payload instanceof Uint8Array ? payload.length : 0;
  payer?.class.chargeWork(payer.key, (bytes / 2 ** 20) * megabyteMilliseconds);
}

/** Schemas are held against what comes in and what goes out; a long list takes as long as its query. */
export const chargedValidatorCompiler: typeof validatorCompiler = (route) => {
  const validate = validatorCompiler(route);
  return (data) => worked(() => validate(data));
};

export const chargedSerializerCompiler: typeof serializerCompiler = (route) => {
  const serialize = serializerCompiler(route);
  return (data) => worked(() => serialize(data));
};
