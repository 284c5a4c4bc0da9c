// Mutants of what ends trust: revoked certificates, lists and OCSP answers, blocked roots of trust and addresses.
import type { Mutant } from './mutant.ts';

const crl = 'core/src/identity/crl.ts';
const ocsp = 'hub/src/authority/ocsp.ts';
const store = 'hub/src/revocation/store.ts';

export const revocationMutants: readonly Mutant[] = [
  {
    id: 'revocation/crl-expired',
    file: crl,
    find: "[atSeconds <= crl.nextUpdateSeconds, 'the list has expired'],",
    replace: '',
    breaks: 'a revocation list counts until its next update',
  },
  {
    id: 'revocation/crl-of-future',
    file: crl,
    find: "[crl.thisUpdateSeconds <= atSeconds, 'the list is from the future'],",
    replace: '',
    breaks: 'a revocation list of the future does not count',
  },
  {
    id: 'revocation/crl-signature',
    file: crl,
    find: '[verifySignature(scheme, publicKeyOf(issuer), crl.tbs, crl.signature), signatureProblem(scheme)],',
    replace:
      '[crl.signature.length > 0 && publicKeyOf(issuer) !== undefined && verifySignature !== undefined, signatureProblem(scheme)],',
    breaks: 'a revocation list is signed by its issuer',
  },
  {
    id: 'revocation/crl-issuer',
    file: crl,
    find: "[equalNames(crl.issuer, issuer.subject), 'the list is of another issuer'],",
    replace: '',
    breaks: 'a revocation list speaks for its own issuer',
  },
  {
    id: 'revocation/stands',
    file: store,
    find: 'if (row === undefined || row.revoked_at !== null)',
    replace: 'if (row === undefined)',
    breaks: 'a revoked certificate is refused',
  },
  {
    id: 'revocation/unknown-stands-not',
    file: store,
    find: 'if (row === undefined || row.revoked_at !== null)',
    replace: 'if (row !== undefined && row.revoked_at !== null)',
    breaks: 'a certificate that the store does not have is refused',
  },
  {
    id: 'revocation/leases-end',
    file: 'hub/src/revocation/leases.ts',
    find: ".set({ revoked_at: nowMs })\n      .where('device_id', 'in', ids)\n      .where('revoked_at', 'is', null)\n      .where('not_after', '>', nowMs)",
    replace:
      ".set({ revoked_at: nowMs })\n      .where('device_id', 'in', ids)\n      .where('revoked_at', 'is', null)\n      .where('not_after', '<', nowMs)",
    breaks: 'the running leases of a device end with its trust',
  },
  {
    id: 'revocation/ocsp-revoked',
    file: ocsp,
    find: "if (row.revokedAt === null) return { kind: 'good' };",
    replace:
      "if (row.revokedAt === null || row.reason === null) return { kind: 'good' };\n    if (row.reason.length > 0) return { kind: 'good' };",
    breaks: 'OCSP says of a revoked certificate that it is revoked',
  },
  {
    id: 'revocation/ocsp-unknown',
    file: ocsp,
    find: "return { kind: own === undefined ? 'unknown' : 'good' };",
    replace: "return { kind: own === undefined ? 'good' : 'unknown' };",
    breaks: 'OCSP vouches for no certificate that this hub did not issue',
  },
  {
    id: 'revocation/ocsp-kept-after-revocation',
    file: ocsp,
    find: 'if (this.#keptVersion !== watch.version) {',
    replace: 'if (this.#keptVersion > watch.version) {',
    breaks: 'a kept OCSP answer is not given after something was revoked',
  },
  {
    id: 'revocation/ocsp-reused-too-long',
    file: ocsp,
    find: 'thisUpdateSeconds + Math.floor(answerSeconds / 2)',
    replace: 'thisUpdateSeconds + answerSeconds * 2',
    breaks: 'a kept OCSP answer is given while it may be relied on',
  },
  {
    id: 'revocation/ocsp-next-update',
    file: ocsp,
    find: 'const nextUpdateSeconds = thisUpdateSeconds + answerSeconds;',
    replace: 'const nextUpdateSeconds = thisUpdateSeconds + answerSeconds * 1_000;',
    breaks: 'an OCSP answer may be relied on for as long as the setting says',
  },
  {
    id: 'revocation/watch-cuts',
    file: 'hub/src/revocation/watch.ts',
    find: "this.#cut({ deviceId, serial: serial === '' ? undefined : serial });",
    replace: "if (serial === '') this.#cut({ deviceId, serial: undefined });",
    breaks: 'the connections of a revoked certificate are cut on every node',
  },
  {
    id: 'revocation/blocked-root',
    file: 'hub/src/enrollment/admission.ts',
    find: ".where('root_sha256', 'in', digests)",
    replace: ".where('reason', 'in', digests)",
    breaks: 'a blocked root of trust does not enroll',
  },
  {
    id: 'revocation/key-forms',
    file: 'hub/src/attest/root-keys.ts',
    find: '.update(encodeSpki(rootKeyOf(identity)))',
    replace: '.update(JSON.stringify(identity))',
    breaks: 'one key is one identity, in every form',
  },
  {
    id: 'revocation/address-block-ends',
    file: 'hub/src/address/blocked-addresses.ts',
    find: '(ends.get(address.bits >> hostBits) ?? 0) > nowMs',
    replace: '(ends.get(address.bits) ?? 0) > nowMs',
    breaks: 'every address of a blocked network is blocked',
  },
  {
    id: 'revocation/address-mapped',
    file: 'hub/src/address/blocked-addresses.ts',
    find: 'const address = parseAddress(text.replace(/%.*$/, ',
    replace: 'const address = parseAddress(text.replace(/%%$/, ',
    breaks: 'an address is blocked on every interface',
  },
  {
    id: 'revocation/blocked-addresses-of-own',
    file: 'hub/src/address/blocks.ts',
    find: 'if (networkHas(network, ownAddress))',
    replace: 'if (network === ownAddress)',
    breaks: 'an operator does not block the network they come from',
  },
  {
    id: 'revocation/cut-off',
    file: 'hub/src/registry/enablement.ts',
    find: "if (state === 'quarantined') throw",
    replace: "if (state === 'suspect') throw",
    breaks: 'a quarantined device does not connect',
  },
  {
    id: 'revocation/suspect-workloads',
    file: 'hub/src/registry/states.ts',
    find: "  if (to === 'suspect') await endTrust(trx, deviceId, nowMs);\n",
    replace: '',
    breaks: 'the programs of a device whose boot is refused are not trusted any more',
  },
  {
    id: 'revocation/retired-is-final',
    file: 'hub/src/registry/states.ts',
    find: '  retired: [],',
    replace: "  retired: ['active'],",
    breaks: 'a retired device does not come back',
  },
  {
    id: 'revocation/quarantine-ends-leases',
    file: 'hub/src/registry/states.ts',
    find: "const leases = to === 'active' ? 0 : await",
    replace: "const leases = to !== 'retired' ? 0 : await",
    breaks: 'a device that leaves health loses its leases in the same transaction',
  },
];
