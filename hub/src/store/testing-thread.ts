// For tests: a reading thread whose pages say what they were asked, refuse, fail, or end the thread.
import { z } from 'zod';
import { HubError } from '../common/error.ts';
import { compressed, encoded } from './page.ts';
import { answerQuestions } from './reading-thread.ts';

const text = z.object({ text: z.string() });

await answerQuestions({
  pages: [
    encoded({ name: 'echo', query: text, answer: text, make: async (_db, query) => query }),
    {
      name: 'refuse',
      make: async () => {
        throw new HubError('request-invalid', 'no such field', { reasons: [{ code: 'a', message: 'b' }] });
      },
    },
    { name: 'die', make: async () => process.exit(1) },
  ],
  documents: [
    compressed({ name: 'echo', query: text, make: async (_db, query) => new TextEncoder().encode(query.text) }),
  ],
});
