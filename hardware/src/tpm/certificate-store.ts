// The certificates that a manufacturer stored in a TPM's NV memory (TCG EK Credential Profile 2.5, section 2.2.1).
import { ByteReader } from '@edgekeep/core/bytes';
import { type Entity, entityOf } from '@edgekeep/core/tpm/command';
import { getHandles, handleRanges } from '@edgekeep/core/tpm/commands/capability';
import { nvAttributes, nvRead, nvReadPublic } from '@edgekeep/core/tpm/commands/nv';
import { hierarchies } from '@edgekeep/core/tpm/public-area';
import { endorsementChainFirst, endorsementChainLast } from '@edgekeep/core/tpm/template';
import type { TpmClient } from './client.ts';

/** Every TPM reads at least this many bytes of NV at once (PC Client profile: 512). */
const chunkBytes = 512;
const sequenceTag = 0x30;

/** The DER certificate at an NV index, without the padding that some TPMs add; undefined when the index is not defined or unreadable. */
export async function readCertificate(client: TpmClient, index: number): Promise<Uint8Array | undefined> {
  return (await readCertificates(client, index))[0];
}

/** All DER certificates at an NV index, one after the other; empty when the index is not defined or unreadable. */
export async function readCertificates(client: TpmClient, index: number): Promise<readonly Uint8Array[]> {
  const indices = await client.execute(getHandles(handleRanges.nvIndex));
  if (!indices.includes(index)) return [];
  const bytes = await readIndex(client, index);
  return bytes === undefined ? [] : splitCertificates(bytes);
}

/** The certificates between the endorsement certificate and its root that the TPM stores; often none. */
export async function readCertificateChain(client: TpmClient): Promise<readonly Uint8Array[]> {
  const indices = await client.execute(getHandles(handleRanges.nvIndex));
  const parts: Uint8Array[] = [];
  for (const index of indices) {
    if (index < endorsementChainFirst || index > endorsementChainLast) continue;
    const bytes = await readIndex(client, index);
    if (bytes !== undefined) parts.push(bytes);
  }
  // A certificate may continue from one index into the next.
  return splitCertificates(Buffer.concat(parts));
}

async function readIndex(client: TpmClient, index: number): Promise<Uint8Array | undefined> {
  const { nvPublic, name } = await client.execute(nvReadPublic(index));
  const { attributes, dataSize } = nvPublic;
  const entity = { handle: index, name };
  const authority = readAuthority(attributes, entity);
  if (authority === undefined || (attributes & nvAttributes.written) === 0) return undefined;
  const chunks: Uint8Array[] = [];
  for (let offset = 0; offset < dataSize; offset += chunkBytes) {
    const length = Math.min(chunkBytes, dataSize - offset);
    chunks.push(await client.execute(nvRead(authority, entity, length, offset), ['password']));
  }
  return Buffer.concat(chunks);
}

function readAuthority(attributes: number, index: Entity): Entity | undefined {
  if ((attributes & nvAttributes.authRead) !== 0) return index;
  if ((attributes & nvAttributes.ownerRead) !== 0) return entityOf(hierarchies.owner);
  return undefined;
}

// TCG PC Client Implementation 1.21 section 7.4: a stored certificate of a full kind, then its length in two octets.
const storedCertificate = [0x10, 0x01, 0x00] as const;

/**
 * DER SEQUENCEs one after the other; stops at padding, which STMicroelectronics writes as ff. Some firmware has a header from TPM 1.2
 * before them.
 */
export function splitCertificates(stored: Uint8Array): Uint8Array[] {
  const certificates: Uint8Array[] = [];
  const hasHeader = storedCertificate.every((octet, at) => stored[at] === octet);
  const bytes = hasHeader ? stored.subarray(storedCertificate.length + 2) : stored;
  const reader = new ByteReader(bytes, 'certificate in NV');
  while (reader.remaining > 4) {
    const start = reader.offset;
    if (reader.u8() !== sequenceTag) break;
    const short = reader.u8();
    const length = short === 0x82 ? reader.u16() : short === 0x81 ? reader.u8() : short;
    if (length > reader.remaining) break;
    reader.bytes(length);
    certificates.push(Uint8Array.from(bytes.subarray(start, reader.offset)));
  }
  return certificates;
}
