// The table as a CycloneDX cryptography bill of materials (https://cyclonedx.org/docs/1.6/json/). No time and no serial number: the same
// source gives the same bytes.
import type { Found } from './scan.ts';
import type { Algorithm } from './algorithm.ts';
import { algorithms } from './table.ts';

const product = 'edgekeep';

/** What a component of the document is found by. */
const referenceOf = (name: string) => `crypto/${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`;

/** The document; `found` says which files have each algorithm. */
export function cbom(found: Found, version: string): unknown {
  const components = [...algorithms.map((each) => algorithmComponent(each, found)), tlsComponent()];
  const dependsOn = components.map((component) => component['bom-ref']);
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': product,
        name: product,
        version,
        licenses: [{ license: { id: 'Apache-2.0' } }],
      },
    },
    components,
    dependencies: [{ ref: product, dependsOn }],
  };
}

/** The files where a word or a function of the algorithm is, in their order. */
export function placesOf({ words, calls = [] }: Algorithm, found: Found): readonly string[] {
  const inTexts = words.flatMap((word) => found.words.get(word) ?? []);
  const imported = calls.flatMap((call) => found.imports.get(call) ?? []);
  return [...new Set([...inTexts, ...imported])].toSorted();
}

function algorithmComponent(algorithm: Algorithm, found: Found) {
  const { name, primitive, functions, parameters, curve, oid, classicalBits, quantumLevel, uses, breaks, goesTo } =
    algorithm;
  return {
    type: 'cryptographic-asset',
    'bom-ref': referenceOf(name),
    name,
    description: uses,
    cryptoProperties: {
      assetType: 'algorithm',
      algorithmProperties: {
        primitive,
        ...(parameters !== undefined && { parameterSetIdentifier: parameters }),
        ...(curve !== undefined && { curve }),
        executionEnvironment: 'software-plain-ram',
        cryptoFunctions: functions,
        ...(classicalBits > 0 && { classicalSecurityLevel: classicalBits }),
        nistQuantumSecurityLevel: quantumLevel,
      },
      ...(oid !== undefined && { oid }),
    },
    properties: [
      { name: 'edgekeep:breaks', value: breaks },
      { name: 'edgekeep:goesTo', value: goesTo },
    ],
    evidence: { occurrences: placesOf(algorithm, found).map((location) => ({ location })) },
  };
}

/** TLS 1.3, as wire/src/link/tls.ts sets it. */
function tlsComponent() {
  const groups = ['X25519MLKEM768', 'X25519', 'ECDH P-256, P-384, P-521'];
  const suites = [
    ['TLS_AES_256_GCM_SHA384', 'AES-256-GCM', 'SHA-384'],
    ['TLS_AES_128_GCM_SHA256', 'AES-128-GCM', 'SHA-256'],
    ['TLS_CHACHA20_POLY1305_SHA256', 'ChaCha20-Poly1305', 'SHA-256'],
  ];
  return {
    type: 'cryptographic-asset',
    'bom-ref': referenceOf('TLS 1.3'),
    name: 'TLS 1.3',
    description: 'every connection between agent, hub and command line',
    cryptoProperties: {
      assetType: 'protocol',
      protocolProperties: {
        type: 'tls',
        version: '1.3',
        cipherSuites: suites.map(([name = '', ...parts]) => ({
          name,
          algorithms: [...groups, ...parts].map(referenceOf),
        })),
      },
    },
  };
}

const begin = '<!-- written by npm run cbom -->';
const end = '<!-- end -->';

/** The page with the table between its two marks. */
export function pageWith(page: string): string {
  const [before, rest] = page.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`expected ${begin} and ${end} in the page`);
  const rows = algorithms.map(({ name, uses, breaks, goesTo }) => `| ${name} | ${uses} | ${breaks} | ${goesTo} |`);
  const table = ['| algorithm | what for | what breaks it | what it goes to |', '|---|---|---|---|', ...rows].join(
    '\n',
  );
  return `${before}${begin}\n\n${table}\n\n${end}${after}`;
}
