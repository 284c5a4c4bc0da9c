// The orders to the processes of the attack benchmark, and their answers.
import type { HubAddress } from '../fleet/connection.ts';

export interface ProbeOrder {
  readonly fleetFile: string;
  readonly device: HubAddress;
  readonly operator: HubAddress;
  readonly token: string;
  /** Of another person, who attacks. */
  readonly attackToken: string;
  readonly seconds: number;
  /** The addresses of the unknown client. */
  readonly address: string;
}

export interface Sample {
  readonly who: 'device' | 'operator' | 'newcomer';
  readonly atMs: number;
  readonly ms: number;
  readonly failed: boolean;
}

export type AttackName =
  | 'large bodies'
  | 'large arrays'
  | 'chunked bodies'
  | 'slow bodies'
  | 'small requests'
  | 'handshakes'
  | 'half handshakes'
  | 'held handshakes'
  | 'guessed tokens'
  | 'large bodies without a token'
  | 'OCSP'
  | 'public documents'
  | 'a device within its rights'
  | 'an operator within its rights';

export interface AttackOrder extends ProbeOrder {
  readonly name: AttackName;
}

export interface AttackResult {
  /** Requests, connections or bodies that were tried. */
  readonly tries: number;
  /** Their results. */
  readonly outcomes: Readonly<Record<string, number>>;
}
