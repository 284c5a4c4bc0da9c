// `edgekeep floe encrypt`: any file or stream as a FLOE file (c2sp.org/FLOE), with a key of one's own.
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import {
  layoutOfCiphertext,
  segmentLengthDefault,
  SEGMENT_LENGTH_MIN,
  SEGMENT_LENGTH_MAX,
} from '@edgekeep/core/model/floe-layout';
import { type ByteSource, encryptStream } from '@edgekeep/core/model/floe-stream';
import { encryptFile, readChunks, type Totals, writeAll } from '@edgekeep/wire/file/sealed-file';
import { type Arguments, type Command, exitCodes, UsageError } from '../command.ts';
import {
  readAssociatedData,
  readKeyFile,
  readStandardInput,
  standardStream,
  writeOutputFile,
  writeStandardOutput,
} from './floe-files.ts';

export const command: Command = {
  usage: 'floe encrypt IN OUT --key-file RAW32 [--segment-length BYTES] [--aad-file FILE]',
  help: `
Encrypts IN to OUT with AES-256-GCM in segments; "-" is stdin or stdout. OUT appears only when it is complete.

--key-file        a file of exactly 32 random bytes, for example: head -c 32 /dev/urandom > key && chmod 600 key
--segment-length  length of an encrypted segment in bytes, ${SEGMENT_LENGTH_MIN} to ${SEGMENT_LENGTH_MAX} (default: ${segmentLengthDefault})
--aad-file        its bytes are bound to the file and must be given again to decrypt it (default: none)
`,
  positionals: { min: 2, max: 2 },
  options: {
    'key-file': { type: 'string' },
    'segment-length': { type: 'string' },
    'aad-file': { type: 'string' },
  },
  async run(args) {
    const [input = '', output = ''] = args.positionals;
    const segmentLength = segmentLengthOf(args);
    const { key, warnings } = await readKeyFile(args.required('key-file'));
    try {
      const associatedData = await readAssociatedData(args.option('aad-file'));
      const totals = await encrypt(input, output, key, associatedData, segmentLength);
      const value = { ...totals, segmentLength, warnings };
      const text = [...warnings.map((warning) => `warning: ${warning}`), summaryOf(totals)].join('\n');
      return { exitCode: exitCodes.ok, value, text, stdoutTaken: output === standardStream };
    } finally {
      key.fill(0);
    }
  },
};

function segmentLengthOf(args: Arguments): number {
  const text = args.option('segment-length') ?? String(segmentLengthDefault);
  const length = Number(text);
  if (!/^\d+$/.test(text) || length < SEGMENT_LENGTH_MIN || length > SEGMENT_LENGTH_MAX) {
    throw new UsageError(
      `--segment-length takes a number of bytes from ${SEGMENT_LENGTH_MIN} to ${SEGMENT_LENGTH_MAX}`,
    );
  }
  return length;
}

async function encrypt(
  input: string,
  output: string,
  key: Uint8Array,
  associatedData: Uint8Array,
  segmentLength: number,
): Promise<Totals> {
  const seal = (source: ByteSource) => encryptStream(source, key, associatedData, { randomBytes, segmentLength });
  const totals = (ciphertextLength: number): Totals => layoutOfCiphertext(ciphertextLength, segmentLength);
  if (input === standardStream) {
    const sealed = seal(readStandardInput());
    if (output === standardStream) return totals(await writeStandardOutput(sealed));
    return totals(await writeOutputFile(output, 0o666, (file) => writeAll(file, sealed)));
  }
  await using from = await open(input);
  if (output === standardStream) return totals(await writeStandardOutput(seal(readChunks(from))));
  return await writeOutputFile(output, 0o666, (to) => encryptFile(from, to, key, associatedData, { segmentLength }));
}

function summaryOf({ plaintextLength, ciphertextLength }: Totals): string {
  return `encrypted ${plaintextLength} bytes to ${ciphertextLength}`;
}
