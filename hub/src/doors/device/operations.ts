// The operations of the device listener: for each route its name and one line, as the OpenAPI document has them.
import type { Operations } from '../openapi/answers.ts';

export const deviceOperations: Operations = {
  'GET /.well-known/est/cacerts': ['getEstAuthorities', 'Get the authorities (EST)'],
  'GET /.well-known/est/csrattrs': ['getEstAttributes', 'Get what a certificate request should have (EST)'],
  'POST /.well-known/est/simpleenroll': [
    'enrollByEst',
    'Enroll with an enrollment token (EST)',
    ['not-found', 'conflict', 'name-reserved'],
  ],
  'POST /.well-known/est/simplereenroll': ['renewByEst', 'Renew a certificate (EST)', ['not-found', 'conflict']],
  'POST /v1/attest': [
    'sendEvidence',
    'Show evidence of the boot',
    ['not-found', 'challenge-missing', 'conflict', 'ima-log-start-unknown'],
  ],
  'GET /v1/audit': ['listOwnEntries', 'List the entries of the log that are about this device'],
  'GET /v1/authorities': ['getAuthorityChain', 'Get roots, links and issuing CAs'],
  'POST /v1/authorities/known': ['noteKnownRoot', 'Say which root and key list the device knows', ['not-found']],
  'POST /v1/bind': [
    'bindConnection',
    'Prove that this connection ends at the registered root of trust',
    ['not-found', 'conflict', 'identity-in-use', 'ima-log-start-unknown'],
  ],
  'POST /v1/challenges': ['openChallenge', 'Get a challenge for evidence'],
  'GET /v1/checkpoint': [
    'getCheckpoint',
    'Get the checkpoint with the proof that it continues an earlier one',
    ['not-found'],
  ],
  'POST /v1/cosignatures': [
    'addCosignature',
    'Cosign the offered checkpoint',
    ['not-found', 'witness-behind', 'cosignature-refused'],
  ],
  'POST /v1/enroll/challenge': [
    'beginEnrollment',
    'Begin to enroll: show the root of trust, get a challenge',
    ['name-reserved'],
  ],
  'POST /v1/enroll/complete': [
    'completeEnrollment',
    'Answer the challenge and get the operational certificate',
    ['not-found', 'challenge-missing', 'conflict', 'ima-log-start-unknown', 'name-reserved'],
  ],
  'POST /v1/hybrid-key': [
    'completeHybridKey',
    'Prove the hybrid key and have it registered',
    ['not-found', 'challenge-missing', 'conflict', 'ima-log-start-unknown'],
  ],
  'POST /v1/hybrid-key/challenge': ['beginHybridKey', 'Show a hybrid key, get a secret that only its holder opens'],
  'POST /v1/ima-log': [
    'sendImaLog',
    'Send a piece of a long IMA log before the evidence',
    ['challenge-missing', 'ima-log-start-unknown'],
  ],
  'GET /v1/models/:name': ['getModel', 'Get the release of a model that this device may run'],
  'GET /v1/models/:name/:version/files/*': ['getFile', 'Get a sealed file of a release', ['range-invalid']],
  'GET /v1/receipts/:id': ['getReceipt', "Get the receipt of one's own release"],
  'POST /v1/recover/challenge': ['beginRecovery', 'Begin to recover: name the device, get a challenge'],
  'POST /v1/recover/complete': [
    'completeRecovery',
    'Answer the challenge and get an operational certificate again',
    ['not-found', 'challenge-missing', 'conflict', 'ima-log-start-unknown'],
  ],
  'POST /v1/releases': [
    'requestRelease',
    'Request the key of a model',
    ['not-found', 'challenge-missing', 'conflict', 'ima-log-start-unknown'],
  ],
  'POST /v1/renew': [
    'renewCertificate',
    'Certify the next operational key',
    ['not-found', 'challenge-missing', 'conflict', 'ima-log-start-unknown'],
  ],
  'POST /v1/reports': ['sendReport', 'Report counts, models, attributes and faults', ['not-found']],
  'POST /v1/token/report': [
    'sendTokenReport',
    'Report as a device that has HMAC tokens alone',
    ['not-found', 'conflict', 'identity-in-use'],
  ],
  'POST /v1/state-recovery': [
    'recoverState',
    'Say which files of the state folder are lost, get what the hub remembers',
    ['not-found', 'challenge-missing', 'conflict', 'ima-log-start-unknown'],
  ],
  'GET /v1/whoami': ['getCaller', "Show who the caller's certificate names"],
  'POST /v1/workloads/:name/certificate': [
    'certifyWorkload',
    'Certify the key of a workload',
    ['conflict', 'name-reserved'],
  ],
};
