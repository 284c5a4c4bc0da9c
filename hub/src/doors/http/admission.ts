// Admission before work: the payer is decided from the connection or the token, the request is charged, and it waits for its turn. All of
// this happens before the first byte of a body is read.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../common/clock.ts';
import { networkOf } from '@edgekeep/core/canonical/network-of';
import type { HubSettings } from '../../settings.ts';
import { bodyBytes } from './body-limits.ts';
import type { StreamLimits } from './body-watch.ts';
import { BodyRoom, type Payer, PayerClass, type PayerLimits } from './payer.ts';
import { chargeRequest } from './work.ts';

export type AdmissionSettings = Pick<
  HubSettings,
  'maxRequestsPerSecond' | 'maxAnonymousRequestsPerSecond' | 'admission'
>;

// Bodies of unknown clients and of known callers have separate memory: when unknown clients fill theirs, devices still have room.
const strangersRoomBytes = 64 * 1024 * 1024;
const knownRoomBytes = 96 * 1024 * 1024;

export class Admission {
  /** Bound devices and workloads. */
  readonly devices: PayerClass;
  /** Addresses without a certificate, and certificates that are not bound yet, on the device listener. */
  readonly strangers: PayerClass;
  /** People, and all services that one person made; their tokens share one budget. */
  readonly tokens: PayerClass;
  /** Addresses on the operator listener without a token that was accepted here before. */
  readonly callers: PayerClass;

  constructor(settings: AdmissionSettings, clock: Clock) {
    const strangersRoom = new BodyRoom(strangersRoomBytes);
    const knownRoom = new BodyRoom(knownRoomBytes);
    const { admission } = settings;
    const bytesOfStrangers = admission.maxAnonymousBytesPerSecond;
    const of = (limits: PayerLimits, maxBody: number, room: BodyRoom) => new PayerClass(limits, maxBody, room, clock);
    this.devices = of(
      {
        requestsPerSecond: settings.maxRequestsPerSecond,
        workPerSecond: undefined,
        bytesPerSecond: admission.maxBytesPerSecond,
        turns: 4,
        bodies: 8,
      },
      bodyBytes.evidence,
      knownRoom,
    );
    this.strangers = of(
      {
        requestsPerSecond: settings.maxAnonymousRequestsPerSecond,
        workPerSecond: undefined,
        bytesPerSecond: bytesOfStrangers,
        turns: 16,
        bodies: 256,
      },
      bodyBytes.evidence,
      strangersRoom,
    );
    this.tokens = of(
      {
        requestsPerSecond: admission.maxTokenRequestsPerSecond,
        workPerSecond: admission.maxTokenMillisecondsPerSecond,
        bytesPerSecond: 4 * bytesOfStrangers,
        turns: 8,
        bodies: 16,
      },
      bodyBytes.policy,
      knownRoom,
    );
    this.callers = of(
      {
        requestsPerSecond: admission.maxAddressRequestsPerSecond,
        workPerSecond: admission.maxAddressMillisecondsPerSecond,
        bytesPerSecond: bytesOfStrangers,
        turns: 8,
        bodies: 16,
      },
      bodyBytes.none,
      strangersRoom,
    );
  }

  /** The address of a request, as one of the operator listener's callers. */
  callerOf({ ip }: FastifyRequest): Payer {
    return { class: this.callers, key: networkOf(ip) };
  }
}

export function streamLimits({ admission }: Pick<HubSettings, 'admission'>): StreamLimits {
  return { idleSeconds: admission.uploadIdleSeconds, minBytesPerSecond: admission.minUploadBytesPerSecond };
}

const weighedBytes = 1024 * 1024;

/** Counts the request. Throws `rate-limited`. */
export async function pay(request: FastifyRequest): Promise<void> {
  const { payer, routeOptions } = request;
  payer.class.spendRequest(payer.key, costOf(routeOptions));
  chargeRequest(request);
}

/** Waits for the request's turn; a slow body holds none. Throws `rate-limited`. */
export async function takeTurn(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { payer, routeOptions } = request;
  // An upload takes hours; its work is done piece by piece.
  if (routeOptions.config.streamed === true) return;
  const end = await payer.class.turns.take(payer.key);
  if (reply.raw.closed || reply.raw.destroyed) return end();
  reply.raw.once('close', end);
}

// A route that takes megabytes has as much work to do with them; a route that streams does it piece by piece.
function costOf({ bodyLimit, config }: FastifyRequest['routeOptions']): number {
  return config.streamed === true ? 1 : Math.ceil(bodyLimit / weighedBytes);
}
