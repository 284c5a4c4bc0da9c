// The reading thread of tools and tests: queries alone.
import { answerQuestions } from './reading-thread.ts';

answerQuestions({ pages: [], documents: [] });
