// For tests: a witness policy that nobody changes, and devices that count for themselves.
import type { Database } from '../store/database.ts';
import { WitnessPolicies, type WitnessPolicyDocument, type WitnessStanding } from './witness-policy.ts';

export const ofTpm: WitnessStanding = { tier: 'tpm', origin: '' };

const noStore: Pick<Database, 'read' | 'write'> = {
  get read(): never {
    throw new TypeError('this policy has no store');
  },
  write() {
    throw new TypeError('this policy has no store');
  },
};

export function testPolicies(quorum: number, more: Partial<WitnessPolicyDocument> = {}): WitnessPolicies {
  return WitnessPolicies.unread(noStore, { quorum, tiers: ['tpm'], whenUnmet: 'name-weaker', text: null, ...more });
}
