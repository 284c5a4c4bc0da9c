// Mutants of the trust between a device and its hub: tokens of devices without certificates, one identity in one place, clocks, the lease
// that an agent accepts, and how a fleet returns.
import type { Mutant } from './mutant.ts';

const deviceToken = 'core/src/identity/device-token.ts';
const tokenDevice = 'hub/src/enrollment/token-device.ts';
const places = 'hub/src/presence/places.ts';
const lease = 'agent/src/model/lease.ts';

export const deviceMutants: readonly Mutant[] = [
  {
    id: 'device/token-mac',
    file: deviceToken,
    find: 'if (fits.length === 0) return',
    replace: 'if (secrets.length === 0) return',
    breaks: 'the token of a device is made with its secret',
  },
  {
    id: 'device/token-too-old',
    file: deviceToken,
    find: 'if (token.atSeconds < window.nowSeconds - window.seconds) return',
    replace: 'if (token.atSeconds < 0) return',
    breaks: 'an old token of a device is refused',
  },
  {
    id: 'device/token-from-future',
    file: deviceToken,
    find: 'if (token.atSeconds > window.nowSeconds + window.seconds) return',
    replace: 'if (token.atSeconds > window.nowSeconds + window.seconds * 1_000) return',
    breaks: 'a token of a device from the future is refused',
  },
  {
    id: 'device/token-used',
    file: tokenDevice,
    find: 'if (known !== undefined) throw refused();',
    replace: '',
    breaks: 'a token of a device is used once',
  },
  {
    id: 'device/token-clock-set-back',
    file: tokenDevice,
    find: 'if (expiresAt < (await newestExpiry(trx)) - spanMs) throw refused();',
    replace: '',
    breaks: 'a used token is not good again when the clock of the hub is set back',
  },
  {
    id: 'device/token-secret-rolled',
    file: tokenDevice,
    find: '.filter((row) => row.expires_at === null || row.expires_at > nowMs)',
    replace: '.filter((row) => row.created_at <= nowMs)',
    breaks: 'an older secret of a device ends',
  },
  {
    id: 'device/token-quarantined',
    file: tokenDevice,
    find: "return device.state === 'active' && device.disabled_reason === null;",
    replace: "return device.state === 'active' || device.disabled_reason === null;",
    breaks: 'a device that is quarantined or switched off reports nothing',
  },
  {
    id: 'device/two-places',
    file: places,
    find: 'return one.lineage === other.lineage && networkOf(one.address) === networkOf(other.address);',
    replace: 'return one.lineage === other.lineage || networkOf(one.address) === networkOf(other.address);',
    breaks: 'a copied identity beside the device is not the device',
  },
  {
    id: 'device/contested',
    file: places,
    find: "if (contested.length > 0) return { kind: 'taken', others: contested };",
    replace: '',
    breaks: 'an identity that two claim lets nobody else in',
  },
  {
    id: 'device/fork',
    file: 'hub/src/presence/lineage.ts',
    find: 'one.lineage > other.lineage || (one.lineage === other.lineage && one.renewal > other.renewal)',
    replace: 'one.lineage >= other.lineage',
    breaks: 'a certificate that was left behind is an alert',
  },
  {
    id: 'device/clone-reasons',
    file: 'hub/src/respond/clone-watch.ts',
    find: "  'signature-invalid': 'but not its root of trust',\n",
    replace: '',
    breaks: 'a stolen operational key without its root of trust is an alert',
  },
  {
    id: 'device/lease-of-another',
    file: lease,
    find: 'if (about !== expected) throw',
    replace: 'if (about.length !== expected.length) throw',
    breaks: 'an agent takes a lease for its own device and model only',
  },
  {
    id: 'device/lease-receipt',
    file: lease,
    find: "if (verdict.kind === 'refused') throw refused(`its receipt",
    replace: "if (verdict.kind === 'refused' && verdict.reasons.length === 0) throw refused(`its receipt",
    breaks: 'an agent opens no key whose release the log does not prove',
  },
  {
    id: 'device/lease-proven',
    file: lease,
    find: 'if (!equalBytes(proven, encodeCanonicalJson({ ...lease }))) throw',
    replace: 'if (proven.length === 0) throw',
    breaks: 'the lease is the one that the receipt proves',
  },
  {
    id: 'device/lease-over',
    file: lease,
    find: "if (leaseState(lease, Math.max(nowSeconds, lease.notBefore)) === 'expired')",
    replace: "if (leaseState(lease, lease.notBefore) === 'expired')",
    breaks: 'an agent takes no lease that is over',
  },
  {
    id: 'device/clock-skew',
    file: lease,
    find: 'if (lease.notBefore > nowSeconds + CLOCK_SKEW_SECONDS_MAX)',
    replace: 'if (lease.notBefore > nowSeconds + CLOCK_SKEW_SECONDS_MAX * 1_000)',
    breaks: 'an agent takes no lease of the future',
  },
  {
    id: 'device/lease-prolonged',
    file: 'agent/src/hub/life.ts',
    find: 'return Math.max(now.wallMs - this.#begun.wallMs, now.elapsedMs - this.#begun.elapsedMs);',
    replace: 'return now.wallMs - this.#begun.wallMs;',
    breaks: 'a clock that is set back prolongs no lease',
  },
  {
    id: 'device/forked-log',
    file: 'agent/src/hub/witness.ts',
    find: "if (this.#fork !== undefined) return { kind: 'forked' };",
    replace: '',
    breaks: 'a hub whose log forked is not believed again',
  },
  {
    id: 'device/revoked-hub',
    file: 'agent/src/hub/known-roots.ts',
    find: 'if (found !== undefined)',
    replace: 'if (found === undefined && shown.length === 0)',
    breaks: 'a hub under a revoked issuing CA is refused',
  },
  {
    id: 'device/older-list',
    file: 'agent/src/hub/known-roots.ts',
    find: 'if (known !== undefined && numberOf(parseCrl(known).number) >= numberOf(list.number)) return known;',
    replace: '',
    breaks: 'an older list of the root does not take the place of a newer one',
  },
  {
    id: 'device/backoff-reset-at-once',
    file: 'wire/src/link/backoff.ts',
    find: 'lastedMs >= stableAfterMs',
    replace: 'lastedMs >= 0',
    breaks: 'a hub that accepts and cuts at once is not hammered',
  },
  {
    id: 'device/backoff-never-reset',
    file: 'wire/src/link/backoff.ts',
    find: '? 1 : failures;',
    replace: '? failures : failures;',
    breaks: 'a connection that was stable is followed by a short wait',
  },
  {
    id: 'device/backoff-reset-to-none',
    file: 'wire/src/link/backoff.ts',
    find: '? 1 : failures;',
    replace: '? 0 : failures;',
    breaks: 'devices that lost a stable connection together do not come back together',
  },
  {
    id: 'device/backoff-no-jitter',
    file: 'wire/src/link/backoff.ts',
    find: '(0.5 + random / 2)',
    replace: '(1 + random * 0)',
    breaks: 'a fleet that lost its hub does not return as one',
  },
];
