// HardwareModuleName (RFC 4108 section 5): the piece of hardware that a certificate is about, as an otherName among the alternative names.
import { DerReader, derOctetString, derOid, derSequence } from '../der.ts';
import { CoreError } from '../error.ts';
import type { GeneralName } from './general-name.ts';
import { otherNameOid } from './oid.ts';

// Serial numbers of devices have under 32 characters, names of TPMs (a digest in hex) 64.
const SERIAL_LENGTH_MAX = 64;

export interface HardwareModuleName {
  /** Object identifier of a kind of hardware, in the arc of its maker. */
  readonly type: string;
  /** Unique among the hardware of that type, 1 to 64 octets. */
  readonly serialNumber: Uint8Array;
}

export function hardwareModuleGeneralName({ type, serialNumber }: HardwareModuleName): GeneralName {
  if (!isSerialLength(serialNumber)) {
    throw new CoreError('certificate-invalid', `a hardware serial number of ${serialNumber.length} octets`);
  }
  const value = derSequence(derOid(type), derOctetString(serialNumber));
  return { kind: 'other', oid: otherNameOid.hardwareModuleName, value };
}

/** The hardware module names among `names`; throws `certificate-invalid` for a broken one. */
export function hardwareModuleNamesIn(names: readonly GeneralName[]): readonly HardwareModuleName[] {
  return names.flatMap((name) =>
    name.kind === 'other' && name.oid === otherNameOid.hardwareModuleName ? [readHardwareModuleName(name.value)] : [],
  );
}

function readHardwareModuleName(value: Uint8Array): HardwareModuleName {
  try {
    const outer = new DerReader(value, 'hardware module name', 'foreign');
    const fields = outer.inside();
    outer.end();
    const type = fields.oid();
    const serialNumber = fields.octetString();
    fields.end();
    if (isSerialLength(serialNumber)) return { type, serialNumber };
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new CoreError('certificate-invalid', cause.message, { cause });
  }
  // RFC 4108 also has a form for a range of serial numbers: it names no single device.
  throw new CoreError(
    'certificate-invalid',
    `hardware module name: expected 1 to ${SERIAL_LENGTH_MAX} octets of serial`,
  );
}

function isSerialLength({ length }: Uint8Array): boolean {
  return length >= 1 && length <= SERIAL_LENGTH_MAX;
}
