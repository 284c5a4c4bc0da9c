// What a hub allows, if `edgekeep doctor` can reach one: its policy, and the PCRs in which a boot must be compared; and whether its clock is
// right.
import { hubView } from '@edgekeep/wire/api/hub';
import { policyView } from '@edgekeep/wire/api/policy';
import type { z } from 'zod';
import type { Operator } from '../operator.ts';
import { failed, type Finding, ok, warning } from '@edgekeep/host/finding';
import { claimLines } from '../policy/claims.ts';

export async function examineHub(operator: Operator | undefined): Promise<readonly Finding[]> {
  if (operator === undefined) return [];
  const hub = await operator.get('/v1/hub', hubView);
  return [await examinePolicy(operator), examineCoverage(hub), examineHubClock(hub)];
}

async function examinePolicy(operator: Operator): Promise<Finding> {
  const { version, keysForEveryDevice, claims } = await operator.get('/v1/policy', policyView);
  const unnamed = claims.filter(({ named }) => !named);
  if (unnamed.length > 0)
    return warning(
      'policy',
      `policy ${version}: ${claimLines(unnamed).join('; ')}`,
      'use what the hub decides (named members, tags, attestation), or name the claims by @claims("…"), and apply it again',
    );
  if (keysForEveryDevice.length === 0) return ok('policy', `policy ${version} asks for more than an attested TPM`);
  return warning(
    'policy',
    `policy ${version} gives the key of every model to every attested device with a TPM (${keysForEveryDevice.join(', ')})`,
    'name groups in it: principal in resource.groups, and edgekeep model assign MODEL GROUP',
  );
}

function examineCoverage({ coveredPcrs }: z.infer<typeof hubView>): Finding {
  if (coveredPcrs.length > 0) return ok('boot', `reference values must cover PCR ${coveredPcrs.join(', ')}`);
  return warning(
    'boot',
    'boots are affirmed without a check of which agent runs',
    'publish reference values that cover PCR 14, and set attestation.coveredPcrs to [14]',
  );
}

function examineHubClock({ clockProblem }: z.infer<typeof hubView>): Finding {
  if (clockProblem === null) return ok("hub's clock", 'not behind the latest time that the hub has seen');
  return failed("hub's clock", clockProblem, 'until then the hub changes nothing (docs/design/hub-time.md)');
}
