// The reading thread of tools and tests: queries alone.
import { answerQuestions } from './reading-thread.ts';

await answerQuestions({ pages: [], documents: [] });
