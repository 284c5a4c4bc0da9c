// Settings of the hub under the names of the version before (docs/upgrading.md).
import type { FormerNames } from '@edgekeep/core/former-names';

export const formerHubSettings: FormerNames = {
  requestsPerSecondMost: 'maxRequestsPerSecond',
  anonymousRequestsPerSecondMost: 'maxAnonymousRequestsPerSecond',
  'admission.bytesPerSecondMost': 'admission.maxBytesPerSecond',
  'admission.anonymousBytesPerSecondMost': 'admission.maxAnonymousBytesPerSecond',
  'admission.anonymousConnectionsMost': 'admission.maxAnonymousConnections',
  'admission.tokenRequestsPerSecondMost': 'admission.maxTokenRequestsPerSecond',
  'admission.addressRequestsPerSecondMost': 'admission.maxAddressRequestsPerSecond',
  'admission.operatorConnectionsMost': 'admission.maxOperatorConnections',
  'admission.uploadBytesPerSecondLeast': 'admission.minUploadBytesPerSecond',
  'access.revokedAloneMost': 'access.maxRevokedAlone',
  'access.enrolmentAloneDays': 'access.enrollmentAloneDays',
  'identity.twoPlaces': 'identity.concurrentSessions',
  'identity.tokensInOnePlace': 'identity.tokensBoundToAddress',
  'tokens.lifeDaysMost': 'tokens.maxLifeDays',
  'enrolment.requireToken': 'enrollment.requireToken',
};
