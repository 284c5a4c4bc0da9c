// Mutants of the appraisal of DICE evidence (spec/dice.md): layers, flags and signature, and enrollment by a DeviceID. Those of its chain are in
// dice-chain.ts.
import type { Mutant } from './mutant.ts';

const appraise = 'core/src/attest/dice-appraise.ts';
const match = 'core/src/attest/dice/layer-match.ts';
const flags = 'core/src/attest/dice/flags.ts';

export const diceMutants: readonly Mutant[] = [
  {
    id: 'dice/device-key',
    file: appraise,
    find: 'if (!known) {',
    replace: 'if (!known && chain.layers.length === 0) {',
    breaks: 'another genuine device is another device',
  },
  {
    id: 'dice/signature',
    file: appraise,
    find: 'if (!verify(hashOf(signatureAlgorithmOf(key)), signedStatement(evidence), key, signature)) {',
    replace:
      'if (!verify(hashOf(signatureAlgorithmOf(key)), signedStatement(evidence), key, signature) && bytes.length === 0) {',
    breaks: 'a statement is signed by the first key of the chain',
  },
  {
    id: 'dice/statement',
    file: appraise,
    find: "if (reasons.length > 0) return { kind: 'refused', reasons };\n  const { sealingKey }",
    replace: "if (reasons.length > 2) return { kind: 'refused', reasons };\n  const { sealingKey }",
    breaks: 'a statement that is old, or that the log does not explain, proves nothing',
  },
  {
    id: 'dice/sets-without-layers',
    file: appraise,
    find: 'if (referenceValues.layers === undefined) continue;\n    const reasons = matchLayers(layers, referenceValues.layers);',
    replace:
      'const reasons = matchLayers(layers, referenceValues.layers ?? []).slice(0, referenceValues.layers?.length ?? 0);',
    breaks: 'reference values without layers accept no DICE device',
  },
  {
    id: 'dice/closest-set',
    file: appraise,
    find: 'count(match) < count(best)) best',
    replace: 'count(match) > count(best)) best',
    breaks: 'the set that matches decides',
  },
  {
    id: 'dice/boot-events',
    file: appraise,
    find: 'const bootReasons = matchBoot(replayed, [referenceValues], pcrs)?.reasons ?? [];',
    replace: 'const bootReasons = matchBoot(replayed, [referenceValues], pcrs)?.reasons.slice(1) ?? [];',
    breaks: 'what software measured after the layers is compared as well',
  },
  {
    id: 'dice/flag-claim',
    file: appraise,
    find: 'flags.length > 0 ? unsupportableConfiguration',
    replace: 'flags.length > 1 ? unsupportableConfiguration',
    breaks: 'a layer in debug mode is no approved configuration',
  },
  {
    id: 'dice/firmware-claim',
    file: appraise,
    find: 'flags.length < reasons.length ? contraindicatedExecutables',
    replace: 'flags.length + 1 < reasons.length ? contraindicatedExecutables',
    breaks: 'unknown firmware is contraindicated',
  },
  {
    id: 'dice/expected-layer',
    file: match,
    find: 'const missing = wanted.filter((entry) => !layers.some((layer) => isAt(layer, entry)));',
    replace:
      'const missing = wanted.filter((entry) => !layers.some((layer) => isAt(layer, entry)) && entry.layer < 0);',
    breaks: 'a layer that should be there is there',
  },
  {
    id: 'dice/unexpected-layer',
    file: match,
    find: 'const unexpected = layers.filter((layer) => entryFor(layer, wanted) === undefined);',
    replace: 'const unexpected = layers.filter((layer) => entryFor(layer, wanted) === undefined && layer.layer < 0);',
    breaks: 'a layer that nobody expects is refused',
  },
  {
    id: 'dice/layer-index',
    file: match,
    find: 'return entry.layer === layer && (entry.index ?? 0) === index;',
    replace: 'return entry.layer === layer && (entry.index ?? index) === index;',
    breaks: 'a part of a layer is compared with its own entry',
  },
  {
    id: 'dice/fwid',
    file: match,
    find: 'alternative.length === fwids.length && alternative.every((fwid, at) => fwid === fwids[at])',
    replace: 'alternative.length === fwids.length && alternative.some((fwid, at) => fwid === fwids[at])',
    breaks: 'every digest of a layer is compared',
  },
  {
    id: 'dice/fwid-length',
    file: match,
    find: 'alternative.length === fwids.length && alternative.every',
    replace: 'alternative.every',
    breaks: 'a layer has no digest more than expected',
  },
  {
    id: 'dice/fwid-accepted',
    file: match,
    find: 'if (!accepted) {',
    replace: 'if (!accepted && fwids.length > 0) {',
    breaks: 'a layer without a digest is unknown firmware',
  },
  {
    id: 'dice/field',
    file: match,
    find: 'if (wanted[field] === undefined || wanted[field] === tcbInfo[field]) continue;',
    replace: 'if (wanted[field] === undefined || tcbInfo[field] !== undefined) continue;',
    breaks: 'firmware of another vendor is refused',
  },
  {
    id: 'dice/svn',
    file: match,
    find: '(tcbInfo.svn ?? -1) < wanted.svnLeast',
    replace: '(tcbInfo.svn ?? -1) < wanted.svnLeast - 1',
    breaks: 'firmware that is too old is refused',
  },
  {
    id: 'dice/svn-not-stated',
    file: match,
    find: '(tcbInfo.svn ?? -1) < wanted.svnLeast',
    replace: '(tcbInfo.svn ?? wanted.svnLeast) < wanted.svnLeast',
    breaks: 'firmware that states no security version is too old',
  },
  {
    id: 'dice/flags-allowed',
    file: flags,
    find: 'filter((flag) => !allowed.includes(flag)).map((flag) => `${flag} is set`)',
    replace: 'filter(() => allowed.length === 0).map((flag) => `${flag} is set`)',
    breaks: 'only the flags that are named may be set',
  },
  {
    id: 'dice/debug',
    file: flags,
    find: 'return [...set, ...unnamed, ...unknown];',
    replace: 'return [...unnamed, ...unknown];',
    breaks: 'a layer in debug mode is refused',
  },
  {
    id: 'dice/unnamed-flag',
    file: flags,
    find: 'return [...set, ...unnamed, ...unknown];',
    replace: 'return [...set, ...unknown];',
    breaks: 'a flag without a name here is refused',
  },
  {
    id: 'dice/flags-mask',
    file: flags,
    find: 'return [...set, ...unnamed, ...unknown];',
    replace: 'return [...set, ...unnamed];',
    breaks: 'a flag that the mask leaves out is not known to be clear',
  },
  {
    id: 'dice/unnamed-bits',
    file: flags,
    find: 'unnamed: set.filter((bit) => bit >= operationalFlags.length && bit !== fixedWidthBit),',
    replace: 'unnamed: set.filter((bit) => bit > operationalFlags.length && bit < fixedWidthBit),',
    breaks: 'every set bit is seen',
  },
  {
    id: 'dice/fwid-length-of-algorithm',
    file: 'core/src/attest/dice/fwid.ts',
    find: 'digest.length === wanted;\n',
    replace: 'digest.length <= wanted;\n',
    breaks: 'a digest is as long as its algorithm makes it',
  },
  {
    id: 'dice/sealing-key-point',
    file: 'core/src/attest/dice-statement.ts',
    find: "const sealingKey = encodeP256Point(parseP256Point(parseBase64url(text, 'sealing key')));",
    replace: "const sealingKey = parseBase64url(text, 'sealing key');",
    breaks: 'a model key is sealed to a point of P-256',
  },
  {
    id: 'dice/reference-order',
    file: 'core/src/attest/dice/reference-layer.ts',
    find: 'return layer.layer === last.layer && (layer.index ?? 0) > (last.index ?? 0);',
    replace: 'return layer.layer === last.layer && (layer.index ?? 0) >= (last.index ?? 0);',
    breaks: 'reference values have one entry for a layer',
  },
  {
    id: 'dice/blocked',
    file: 'hub/src/enrollment/start.ts',
    find: "  await assertNotBlocked(database.read, proof.idevidDigests, 'IDevID');\n",
    replace: '',
    breaks: 'a blocked DeviceID certificate does not enroll',
  },
  {
    id: 'dice/blocked-root',
    file: 'hub/src/enrollment/admission.ts',
    find: "  await assertNotBlocked(db, [rootSha256], 'root of trust');\n",
    replace: '',
    breaks: 'a blocked root of trust does not enroll',
  },
  {
    id: 'dice/trust-of-kind',
    file: 'hub/src/enrollment/start.ts',
    find: "proveDeviceId(identity, vendorRoots.trust('dice'), nowMs)",
    replace: "proveDeviceId(identity, vendorRoots.trust('tpm'), nowMs)",
    breaks: 'a maker that is trusted for TPMs certifies no DICE device',
  },
];
