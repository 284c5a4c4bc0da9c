// What a replayed boot log says of Secure Boot (spec/event-log.md, "Secure Boot"). Types and data of events are claims of who wrote the
// log; digests and their order are what was measured. So an event counts only where its digest is that of its data, and by its place: the
// firmware measures SecureBoot, PK, KEK, db and dbx into PCR 7 before anything else does, and what runs later can only append.
import { createHash } from 'node:crypto';
import { concat, equalBytes, parseHex, utf8 } from '../bytes.ts';
import { sha256Hex } from '../digest.ts';
import { CoreError } from '../error.ts';
import { dbxDateOf } from './dbx-date.ts';
import { signaturesIn } from './event-data/signature-list.ts';
import { parseUefiVariable, type UefiVariable } from './event-data/uefi-variable.ts';
import type { ExtendedEvent, ReplayedLog } from './replay.ts';

export const SECURE_BOOT_PCR = 7;

export interface SecureBoot {
  /** Firmware and shim verified what they loaded. */
  readonly on: boolean;
  /** A key of shim's list (MokList: the distribution's and those that the machine's owner enrolled) let an image run. Undefined where unknown. */
  readonly mok?: boolean | undefined;
  /** The newest known update of the list of forbidden images, Unix milliseconds; undefined where the list has none of them. */
  readonly dbxDate?: number | undefined;
  /** SHA-256 of each certificate that let an image run, hex, ascending. Undefined where one is unknown. */
  readonly authorities?: readonly string[] | undefined;
}

const globalVariable = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
const imageSecurity = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f';
const shimLock = '605dab50-e046-4300-abb6-3dd810dd8b23';

/** Firmware Profile 3.3.4.8: the only event that may come before SecureBoot and leaves it as it is. */
const dmaProtectionDisabled = sha256(utf8('DMA Protection Disabled'));
const separators = [0, 0xff].map((value) => sha256(new Uint8Array(4).fill(value)));
/** MokSBState of shim: it verifies nothing. Its digest is known, so that no data beside it hides it. */
const shimVerifiesNothing = sha256(
  concat(
    parseHex('50ab5d6046e00043abb63dd810dd8b23', 'GUID of shim'),
    parseHex('0a000000000000000100000000000000', 'lengths of name and data'),
    Buffer.from('MokSBState', 'utf16le'),
    Uint8Array.of(1),
  ),
);

const known = new WeakMap<object, { readonly state: SecureBoot | undefined }>();

/** Undefined when the log does not say. As good as PCR 7: the caller has compared it. */
export function secureBootOf(log: Pick<ReplayedLog, 'events'>): SecureBoot | undefined {
  const before = known.get(log.events);
  if (before !== undefined) return before.state;
  const state = stateOf(log.events.filter(({ pcr }) => pcr === SECURE_BOOT_PCR));
  known.set(log.events, { state });
  return state;
}

function stateOf(events: readonly ExtendedEvent[]): SecureBoot | undefined {
  const at = events[0] !== undefined && equalBytes(events[0].digest, dmaProtectionDisabled) ? 1 : 0;
  const first = measuredVariable(events[at]);
  if (first?.vendor !== globalVariable || first.name !== 'SecureBoot') return undefined;
  const verifies = !events.some(({ digest }) => equalBytes(digest, shimVerifiesNothing));
  const on = first.data.length === 1 && first.data[0] === 1 && verifies;
  return { on, dbxDate: dbxDateAt(events[at + 4]), ...authoritiesOf(events) };
}

// SecureBoot, PK, KEK, db, dbx, in this order.
function dbxDateAt(event: ExtendedEvent | undefined): number | undefined {
  const dbx = measuredVariable(event);
  if (dbx?.vendor !== imageSecurity || dbx.name !== 'dbx') return undefined;
  return readOr(undefined, () => dbxDateOf(signaturesIn(dbx.data).map(({ data }) => data)));
}

function authoritiesOf(events: readonly ExtendedEvent[]): Pick<SecureBoot, 'mok' | 'authorities'> {
  const begun = events.findIndex(({ digest }) => separators.some((each) => equalBytes(each, digest)));
  if (begun === -1) return {};
  const variables = events.slice(begun + 1).map(measuredVariable);
  const found = variables.flatMap((variable) => variable ?? []);
  // One of them may be hidden behind other data.
  if (found.length < variables.length) return {};
  const mok = found.some(({ vendor, name }) => vendor === shimLock && name.startsWith('Mok'));
  // SbatLevel says what shim forbids, and lets nothing run.
  const entries = found.filter(({ name }) => name !== 'SbatLevel').map(({ data }) => data);
  if (entries.some((entry) => entry.length <= OWNER_LENGTH)) return { mok };
  const authorities = [...new Set(entries.map((entry) => sha256Hex(entry.subarray(OWNER_LENGTH))))].toSorted();
  return { mok, authorities };
}

/** Of EFI_SIGNATURE_DATA: the owner before the certificate. */
const OWNER_LENGTH = 16;

/** The variable of an event whose digest is that of its data. */
function measuredVariable(event: ExtendedEvent | undefined): UefiVariable | undefined {
  if (event === undefined || !equalBytes(sha256(event.event), event.digest)) return undefined;
  return readOr(undefined, () => {
    const variable = parseUefiVariable(event.event);
    return variable.length === event.event.length ? variable : undefined;
  });
}

// Some firmware measures other data: it says nothing of Secure Boot.
function readOr<T>(otherwise: T, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CoreError) return otherwise;
    throw error;
  }
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}
