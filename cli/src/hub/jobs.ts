// `edgekeep hub jobs`: the recurring work of a hub and how its last runs ended.
import { counted } from '@edgekeep/core/counted';
import { jobList } from '@edgekeep/wire/api/job';
import { type Command, exitCodes } from '../command.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { table, timeText } from '../table.ts';

export const command: Command = {
  usage: 'hub jobs',
  help: `
Lists the jobs of the hub node that answers: how often each runs, when it ran last, and the error of a failed run. Exit code 1 while the
last run of a job has failed.
${operatorHelp}
`,
  positionals: { min: 0, max: 0 },
  options: operatorOption,
  async run(args) {
    const operator = await openOperator(args);
    const { jobs, leads } = await operator.get('/v1/jobs', jobList);
    const rows = jobs.map((job) => [
      job.name,
      job.everyMilliseconds === null ? 'on request' : `every ${job.everyMilliseconds / 1_000} s`,
      job.running ? 'running' : job.lastError === null ? (job.runs === 0 ? 'not run yet' : 'ok') : 'failed',
      job.lastStartedAt === null ? '' : timeText(job.lastStartedAt),
      `${counted(job.runs, 'run')}, ${job.failures} failed`,
      job.lastError ?? '',
    ]);
    const elsewhere = leads === false ? '\nAnother node leads: the work that one node does for all runs there.' : '';
    const failed = jobs.some(({ lastError }) => lastError !== null);
    return { exitCode: failed ? exitCodes.refused : exitCodes.ok, value: jobs, text: `${table(rows)}${elsewhere}` };
  },
};
