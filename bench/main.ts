// `npm run bench [-- NAME…] [--quick] [--keep]`: how fast, how much.
import { measurementCommand } from './command.ts';

const others = ['command.ts', 'harness.ts', 'main.ts', 'report.ts'];

process.exitCode = await measurementCommand({ command: 'bench', path: import.meta.dirname, others });
