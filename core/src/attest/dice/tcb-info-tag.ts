// The tags of a DiceTcbInfo and of an integrity register in it (DICE Attestation Architecture 1.1, section 6.1.1).
import { contextTag } from '../../der.ts';

export const tag = {
  vendor: contextTag(0, false),
  model: contextTag(1, false),
  version: contextTag(2, false),
  svn: contextTag(3, false),
  layer: contextTag(4, false),
  index: contextTag(5, false),
  fwids: contextTag(6, true),
  flags: contextTag(7, false),
  vendorInfo: contextTag(8, false),
  type: contextTag(9, false),
  flagsMask: contextTag(10, false),
  integrityRegisters: contextTag(11, true),
} as const;

export const registerTag = {
  name: contextTag(0, false),
  number: contextTag(1, false),
  digests: contextTag(2, true),
} as const;
