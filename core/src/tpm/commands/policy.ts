// The policy commands (TPM 2.0 Part 3, 23): each takes one step in a policy session. policy.ts in the folder above computes the digest of
// the same steps.
import { ByteWriter } from '../../bytes.ts';
import { type Entity, entityOf, type TpmCommand } from '../command.ts';
import { commandCodes } from '../command-code.ts';
import { encodePcrSelections, type PcrSelection } from '../pcr-selection.ts';
import { comparisons, type ComparisonTerm } from '../policy.ts';
import { readTicket } from './object.ts';

const none = new Uint8Array(0);
const nothing = () => undefined;

/** With an empty `pcrDigest` the TPM takes the values as they are now. */
export function policyPcr(
  session: number,
  selections: readonly PcrSelection[],
  pcrDigest: Uint8Array = none,
): TpmCommand<undefined> {
  const parameters = new ByteWriter().sized16(pcrDigest).bytes(encodePcrSelections(selections)).finish();
  return step('TPM2_PolicyPCR', commandCodes.policyPcr, session, parameters);
}

/** Authorization: the entity. */
export function policySecret(entity: Entity, session: number, policyRef: Uint8Array = none): TpmCommand<undefined> {
  return {
    name: 'TPM2_PolicySecret',
    code: commandCodes.policySecret,
    handles: [entity, entityOf(session)],
    parameters: new ByteWriter().sized16(none).sized16(none).sized16(policyRef).u32(0).finish(),
    parse: (response) => {
      response.sized16();
      readTicket(response);
    },
  };
}

/** `ticket` comes from `verifySignature` over the digest of approved policy || policyRef. */
export function policyAuthorize(
  session: number,
  approvedPolicy: Uint8Array,
  policyRef: Uint8Array,
  keyName: Uint8Array,
  ticket: Uint8Array,
): TpmCommand<undefined> {
  const parameters = new ByteWriter()
    .sized16(approvedPolicy)
    .sized16(policyRef)
    .sized16(keyName)
    .bytes(ticket)
    .finish();
  return step('TPM2_PolicyAuthorize', commandCodes.policyAuthorize, session, parameters);
}

/** Authorization: `authority`, which may read the index (the index itself, or the owner). */
export function policyNv(
  authority: Entity,
  nvIndex: Entity,
  session: number,
  term: ComparisonTerm,
): TpmCommand<undefined> {
  return {
    name: 'TPM2_PolicyNV',
    code: commandCodes.policyNv,
    handles: [authority, nvIndex, entityOf(session)],
    parameters: encodeTerm(term),
    parse: nothing,
  };
}

export function policyCounterTimer(session: number, term: ComparisonTerm): TpmCommand<undefined> {
  return step('TPM2_PolicyCounterTimer', commandCodes.policyCounterTimer, session, encodeTerm(term));
}

export function policyOr(session: number, branches: readonly Uint8Array[]): TpmCommand<undefined> {
  const writer = new ByteWriter().u32(branches.length);
  for (const branch of branches) writer.sized16(branch);
  return step('TPM2_PolicyOR', commandCodes.policyOr, session, writer.finish());
}

export function policyCommandCode(session: number, commandCode: number): TpmCommand<undefined> {
  const parameters = new ByteWriter().u32(commandCode).finish();
  return step('TPM2_PolicyCommandCode', commandCodes.policyCommandCode, session, parameters);
}

/** From here on the session's HMAC is also keyed with the object's authorization value. */
export function policyAuthValue(session: number): TpmCommand<undefined> {
  return step('TPM2_PolicyAuthValue', commandCodes.policyAuthValue, session, none);
}

export function policyGetDigest(session: number): TpmCommand<Uint8Array> {
  return {
    name: 'TPM2_PolicyGetDigest',
    code: commandCodes.policyGetDigest,
    handles: [entityOf(session)],
    parameters: none,
    parse: (response) => response.sized16(),
  };
}

function step(name: string, code: number, session: number, parameters: Uint8Array): TpmCommand<undefined> {
  return { name, code, handles: [entityOf(session)], parameters, parse: nothing };
}

function encodeTerm({ operand, offset, operation }: ComparisonTerm): Uint8Array {
  return new ByteWriter().sized16(operand).u16(offset).u16(comparisons[operation]).finish();
}
