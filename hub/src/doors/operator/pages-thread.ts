// The reading thread of a hub that serves requests: queries, the long lists of the operator API, and long public documents.
import { compressed, encoded } from '../../store/page.ts';
import { answerQuestions } from '../../store/reading-thread.ts';
import { alertPage } from './alert-page.ts';
import { auditPage, leasePage } from './audit-page.ts';
import { certificatePage } from './certificate-page.ts';
import { devicePage } from './device-page.ts';
import { peoplePage, tokenPage } from './people-page.ts';
import { sitePage } from './site-page.ts';
import { trustDocument } from './trust-fleet.ts';

await answerQuestions({
  pages: [
    encoded(alertPage),
    encoded(auditPage),
    encoded(certificatePage),
    encoded(devicePage),
    encoded(leasePage),
    encoded(peoplePage),
    encoded(sitePage),
    encoded(tokenPage),
  ],
  documents: [compressed(trustDocument)],
});
