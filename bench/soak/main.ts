// `npm run soak [-- NAME…] [--quick] [--keep]`: whole fleets under failures, for minutes to hours; in the form of benchmarks (harness.ts).
import { measurementCommand } from '../command.ts';

process.exitCode = await measurementCommand({ command: 'soak', path: import.meta.dirname, others: ['main.ts'] });
