// The operations of both listeners that need no proof of who asks: for each route its name and one line.
import type { Operations } from '../openapi/answers.ts';

export const publicOperations: Operations = {
  'GET /crl': ['getRevocationList', 'Get the revocation list of the newest issuing CA'],
  'GET /crl/:id': ['getIssuingRevocationList', 'Get the revocation list of an issuing CA'],
  'GET /crl/root/:sha256': ['getRootRevocationList', 'Get the revocation list of a root'],
  'GET /log/checkpoint': ['getLogCheckpoint', 'Get the signed checkpoint of the log'],
  'GET /log/tile/*': ['getLogTile', 'Get a tile of hashes of the log', ['scope-missing']],
  'GET /log/tile/entries/*': ['getLogEntries', 'Get a bundle of entries of the log'],
  'POST /ocsp': ['askOcsp', 'Ask whether certificates are revoked', ['not-found']],
  'GET /ocsp/*': ['getOcsp', 'Ask the same by GET, with the request as base64 in the path'],
};
