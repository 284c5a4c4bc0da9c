// Runs command lines one after the other in this process, which has no terminal: reads them as JSON from standard input, and writes how each ended.
import { json } from 'node:stream/consumers';
import { runCommandLine } from '@edgekeep/cli/command-line';
import { z } from 'zod';

class Written {
  text = '';

  write(text: string): void {
    this.text += text;
  }
}

const lines = z.array(z.array(z.string())).parse(await json(process.stdin));
const ended: { readonly exitCode: number; readonly stdout: string; readonly stderr: string }[] = [];
for (const words of lines) {
  const [stdout, stderr] = [new Written(), new Written()];
  const exitCode = await runCommandLine(words, { stdout, stderr });
  ended.push({ exitCode, stdout: stdout.text, stderr: stderr.text });
}
process.stdout.write(JSON.stringify(ended));
