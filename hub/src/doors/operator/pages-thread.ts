// The reading thread of a hub that serves requests: queries, and the long lists of the operator API.
import { encoded } from '../../store/page.ts';
import { answerQuestions } from '../../store/reading-thread.ts';
import { auditPage, leasePage } from './audit-page.ts';
import { certificatePage } from './certificate-page.ts';
import { devicePage } from './device-page.ts';

answerQuestions([encoded(auditPage), encoded(certificatePage), encoded(devicePage), encoded(leasePage)]);
