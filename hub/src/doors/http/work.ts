// The hub's work on a request, charged to its payer while the hub does it, so that a client that goes away pays as well.
import { performance } from 'node:perf_hooks';
import type { FastifyRequest } from 'fastify';
import { actingNow } from '../../store/authority.ts';
import { worked } from '../../store/work.ts';
import { serializerCompiler, validatorCompiler } from './zod-compilers.ts';

// The cost of HTTP, of the look-up of a token and of encryption, which are not measured: on the machine of docs/performance.md.
const requestMilliseconds = 0.3;
const megabyteMilliseconds = 2;

/** For the hook that learns the payer. A door that finds a better payer changes `request.payer`; from then on that one is charged. */
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
  if (payer !== undefined) chargeBytes(request, bytes);
}

/** Charges bytes that are sent. */
export function chargeBytes({ payer }: FastifyRequest, bytes: number): void {
  payer.class.chargeWork(payer.key, (bytes / 2 ** 20) * megabyteMilliseconds);
}

/** Schemas check requests and answers; for a long list that takes as long as its query. */
export const chargedValidatorCompiler: typeof validatorCompiler = (route) => {
  const validate = validatorCompiler(route);
  return (data) => worked(() => validate(data));
};

export const chargedSerializerCompiler: typeof serializerCompiler = (route) => {
  const serialize = serializerCompiler(route);
  return (data) => worked(() => serialize(data));
};
