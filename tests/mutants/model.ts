// Mutants of models: the signer, the version, the files, and the key.
import type { Mutant } from './mutant.ts';

const releases = 'hub/src/model/releases.ts';
const release = 'core/src/model/release.ts';

export const modelMutants: readonly Mutant[] = [
  {
    id: 'model/rollback-bound',
    file: 'agent/src/model/versions.ts',
    find: 'if (highest === undefined || compareVersions(version, highest) >= 0) return;',
    replace: 'if (highest === undefined || compareVersions(version, highest) >= -1) return;',
    breaks: 'a device does not go back behind the highest version it has served',
  },
  {
    id: 'model/rollback-forgotten',
    file: 'agent/src/model/versions.ts',
    find: '    this.#versions.set(name, version);\n    await this.#write();',
    replace: '    await this.#write();',
    breaks: 'the highest version is remembered before it is served',
  },
  {
    id: 'model/rollback-forged',
    file: 'agent/src/model/versions.ts',
    find: "return new HighestVersions(path, known ?? new Map(), kept.isLost('versions'));",
    replace: 'return new HighestVersions(path, known ?? new Map(), false);',
    breaks: 'a damaged record of versions is not an empty one',
  },
  {
    id: 'model/version-order',
    file: 'core/src/model/version-order.ts',
    find: 'return Number(a) - Number(b);',
    replace: 'return a < b ? -1 : Number(a > b);',
    breaks: '1.10.0 is newer than 1.9.0',
  },
  {
    id: 'model/pre-release',
    file: 'core/src/model/version-order.ts',
    find: 'Number(labelA === undefined) - Number(labelB === undefined)',
    replace: 'Number(labelB === undefined) - Number(labelA === undefined)',
    breaks: 'a pre-release is older than its release',
  },
  {
    id: 'model/manifest-signed',
    file: release,
    find: 'if (signed?.digest === digest) return [];',
    replace: 'if (signed !== undefined) return [];',
    breaks: 'the manifest is the one that was signed',
  },
  {
    id: 'model/file-signed',
    file: release,
    find: 'if (digest === sha256) continue;',
    replace: 'if (digest !== undefined) continue;',
    breaks: 'the files are those that were signed',
  },
  {
    id: 'model/signature',
    file: 'core/src/model/signature/verify.ts',
    find: "({ verdict }) => verdict === 'valid'",
    replace: "({ verdict }) => verdict !== 'faulty-pae'",
    breaks: 'a model is signed by a trusted publisher',
  },
  {
    id: 'model/publisher-untrusted',
    file: 'hub/src/publisher/publishers.ts',
    find: 'if (found === undefined)',
    replace: "if (found?.name === '')",
    breaks: 'a publisher that is no longer trusted publishes nothing',
  },
  {
    id: 'model/publisher-ended',
    file: 'hub/src/publisher/publishers.ts',
    find: 'endsAt !== null && endsAt <= Math.max(nowMs, orderedAt ?? 0)',
    replace: 'endsAt !== null && endsAt < 0',
    breaks: 'a publisher that has ended publishes nothing new',
  },
  {
    id: 'model/release-changes',
    file: releases,
    find: "if (old !== undefined && old.state !== 'uploading') {",
    replace: "if (old !== undefined && old.state === 'withdrawn') {",
    breaks: 'a published release never changes',
  },
  {
    id: 'model/withdrawn-comes-back',
    file: releases,
    find: ".where('state', '=', 'published')",
    replace: ".where('state', '!=', 'uploading')",
    breaks: 'no device is offered a withdrawn release',
  },
  {
    id: 'model/withdrawal-ends-leases',
    file: 'hub/src/revocation/leases.ts',
    find: ".where('model', '=', model)\n    .where('version', '=', version)",
    replace: ".where('model', '=', model)\n    .where('version', '=', '')",
    breaks: 'the leases on a withdrawn release end',
  },
  {
    id: 'model/incomplete',
    file: releases,
    find: 'if (missing.length > 0)',
    replace: 'if (missing.length > 1)',
    breaks: 'a release is published with all of its files',
  },
  {
    id: 'model/highest-served',
    file: releases,
    find: ".where('state', 'in', ['published', 'withdrawn'])",
    replace: ".where('state', 'in', ['published'])",
    breaks: 'the highest version counts withdrawn releases',
  },
  {
    id: 'model/key-bound-to-version',
    file: 'hub/src/model/key-wrap.ts',
    find: 'names: [name, version],',
    replace: 'names: [name, version.slice(0, 1)],',
    breaks: 'a wrapped model key is the key of one version',
  },
  {
    id: 'model/group-by-claim',
    file: 'hub/src/model/groups-of-model.ts',
    find: 'if (claim !== undefined) {',
    replace: "if (claim === '') {",
    breaks: 'what devices say of themselves decides about no keys',
  },
  {
    id: 'model/publisher-private-key',
    file: 'hub/src/publisher/publishers.ts',
    find: "if (pem.includes('PRIVATE KEY')) {",
    replace: "if (pem === 'PRIVATE KEY') {",
    breaks: 'a private key is refused where a public one belongs',
  },
];
