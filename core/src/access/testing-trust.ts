// For tests: a trust file of given witnesses. A hub's own names its whole fleet (hub/src/doors/operator/trust-fleet.ts).
import { encodeVerifierKey } from '../audit/note.ts';
import { encodeTlogPolicy } from '../audit/testing-tlog-policy.ts';
import { parseUtf8 } from '../bytes.ts';
import { encodeTrustFile, type Trust, trustKeys, type TrustWitnesses, type TrustWitnessPolicy } from './trust.ts';

export function encodeTrust(trust: Trust): Uint8Array {
  return encodeTrustFile(trustKeys(trust), fleetOf(trust));
}

function fleetOf({ policy, whenUnmet }: Trust): TrustWitnessPolicy | TrustWitnesses {
  const { witnesses, quorum, rule: grouped } = policy;
  if (grouped === undefined) return { witnesses: witnesses.map(encodeVerifierKey), quorum };
  const named = witnesses.map((key) => ({ name: grouped.names.get(`${key.name}+${key.id}`) ?? key.name, key }));
  const text = parseUtf8(encodeTlogPolicy({ logs: [], witnesses: named, quorum: grouped.quorum }), 'witness policy');
  const ended = Object.fromEntries(grouped.endedSeconds);
  return {
    witnessPolicy: { text, whenUnmet: whenUnmet ?? 'refuse', ended, unreachable: grouped.unreachable ?? null },
  };
}
