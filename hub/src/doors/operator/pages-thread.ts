// The reading thread of a hub that serves requests: queries, the long lists of the operator API, and long public documents.
import { compressed, encoded } from '../../store/page.ts';
import { answerQuestions } from '../../store/reading-thread.ts';
import { auditPage, leasePage } from './audit-page.ts';
import { certificatePage } from './certificate-page.ts';
import { devicePage } from './device-page.ts';
import { trustDocument } from './trust-fleet.ts';

answerQuestions({
  pages: [encoded(auditPage), encoded(certificatePage), encoded(devicePage), encoded(leasePage)],
  documents: [compressed(trustDocument)],
});
