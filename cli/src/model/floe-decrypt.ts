// `edgekeep floe decrypt`: the plaintext of a FLOE file, released only as far as it verified.
import { open } from 'node:fs/promises';
import { CoreError } from '@edgekeep/core/error';
import { type ByteSource, decryptStream } from '@edgekeep/core/model/floe-stream';
import { decryptFile, readChunks, writeAll } from '@edgekeep/wire/file/sealed-file';
import { type Command, exitCodes, type Outcome } from '../command.ts';
import {
  readAssociatedData,
  readKeyFile,
  readStandardInput,
  standardStream,
  writeOutputFile,
  writeStandardOutput,
} from './floe-files.ts';

export const command: Command = {
  usage: 'floe decrypt IN OUT --key-file RAW32 [--aad-file FILE]',
  help: `
Decrypts IN to OUT; "-" is stdin or stdout. OUT gets mode 0600 and appears only when all of it is verified. To stdout, every segment is
written as soon as it is verified: the output before an error is a correct beginning of the plaintext, and only exit code 0 means that it is complete.

--key-file  the file of exactly 32 bytes that it was encrypted with
--aad-file  the file whose bytes were bound to it, if any

Exit code 1: wrong key or associated data, or the file was cut or changed.
`,
  positionals: { min: 2, max: 2 },
  options: { 'key-file': { type: 'string' }, 'aad-file': { type: 'string' } },
  async run(args) {
    const [input = '', output = ''] = args.positionals;
    const { key, warnings } = await readKeyFile(args.required('key-file'));
    const stdoutTaken = output === standardStream;
    try {
      const associatedData = await readAssociatedData(args.option('aad-file'));
      const plaintextLength = await decrypt(input, output, key, associatedData);
      const text = [...warnings.map((warning) => `warning: ${warning}`), `decrypted ${plaintextLength} bytes`].join(
        '\n',
      );
      return { exitCode: exitCodes.ok, value: { plaintextLength, warnings }, text, stdoutTaken };
    } catch (error) {
      if (error instanceof CoreError) return refusal(error, stdoutTaken);
      throw error;
    } finally {
      key.fill(0);
    }
  },
};

async function decrypt(input: string, output: string, key: Uint8Array, associatedData: Uint8Array): Promise<number> {
  const opened = (source: ByteSource) => decryptStream(source, key, associatedData);
  if (input === standardStream) {
    const plaintext = opened(readStandardInput());
    if (output === standardStream) return writeStandardOutput(plaintext);
    return writeOutputFile(output, 0o600, (to) => writeAll(to, plaintext));
  }
  await using from = await open(input);
  if (output === standardStream) return await writeStandardOutput(opened(readChunks(from)));
  const totals = await writeOutputFile(output, 0o600, (to) => decryptFile(from, to, key, associatedData));
  return totals.plaintextLength;
}

function refusal({ code, message }: CoreError, stdoutTaken: boolean): Outcome {
  const value = { kind: 'refused', reasons: [{ code, message }] };
  return { exitCode: exitCodes.refused, value, text: `refused: ${code}: ${message}`, stdoutTaken };
}
