// `npm run soak [-- NAME…] [--quick] [--keep]`: whole fleets through bad hours, for minutes to hours; benchmarks by form (harness.ts).
import { measurementCommand } from '../command.ts';

process.exitCode = await measurementCommand({ command: 'soak', path: import.meta.dirname, others: ['main.ts'] });
