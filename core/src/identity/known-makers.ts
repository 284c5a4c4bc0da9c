// Fingerprints of roots of TPM makers, collected from public stores: facts for comparison, neither certificates nor trust. An operator
// imports a certificate; the list names its maker (docs/vendor-roots.md says where each maker publishes its own).

export interface KnownRoot {
  readonly maker: string;
  /** The common name of the root. */
  readonly name: string;
  /** SHA-256 of the whole certificate, hex. */
  readonly sha256: string;
}

const facts: readonly (readonly [maker: string, name: string, sha256: string])[] = [
  ['Advanced Micro Devices', 'AMDTPM', '14aac9fd58471a612afd75d8c0955daf99f091b1863702f9e0d4113faf234f9d'],
  ['Advanced Micro Devices', 'AMDTPM', '67bd2472a546751caca5f358a78f80727531671338960a9bcfdfbe6a34d0c6a1'],
  [
    'GlobalSign',
    'GlobalSign Trusted Platform Module ECC Root CA',
    '5a8c7b5eb888cfce9322068e80e82b28b554ffeb7fdc9638dcb3763077401d26',
  ],
  [
    'GlobalSign',
    'GlobalSign Trusted Platform Module Root CA',
    'f27bf02c6e00c73d915eeb6a6a2f5fbf0c31ae0393149e6b5c31e41b113841c3',
  ],
  [
    'Infineon Technologies AG',
    'Infineon OPTIGA(TM) ECC Root CA',
    'cfeb02fecd55ad7a73c6e1d11985d4c47dee248ab63dcb66091a2489660443c3',
  ],
  [
    'Infineon Technologies AG',
    'Infineon OPTIGA(TM) ECC Root CA 2',
    'ee0c827555c4e9012037df4257bb8aaa26084a17b13ede41cd7895c8d6c11190',
  ],
  [
    'Infineon Technologies AG',
    'Infineon OPTIGA(TM) RSA Root CA',
    '899e35474c9807eb4c7f2f7a12da0028fb250cd02154d0009fca7d9c66574f3b',
  ],
  [
    'Infineon Technologies AG',
    'Infineon OPTIGA(TM) RSA Root CA 2',
    'b413c71580af3ec5efe83fad31db2d4af4612355e3b01e50903b10763d738894',
  ],
  ['Intel Corporation', 'www.intel.com', '2e1b3ba79af56d758be51697621bc4b9e8cee0983db3e749c55eb9b37c6d2ae0'],
  ['Intel Corporation', 'www.intel.com', 'beb40bb7507b33967226aa80e084749fbb6593893c642e818d682e9a8d07fc24'],
  [
    'Microsoft Corporation',
    'Microsoft Pluton Root CA 2021',
    '32ab5fe7cb4396659fcb621ca14c6fb8fc2420f64050637d77e45a86c5d3916e',
  ],
  [
    'Microsoft Corporation',
    'Microsoft TPM Root Certificate Authority 2014',
    '870c7a35ceab3d59979f2c6a524042d404cb71518004350925fb2ced79a999da',
  ],
  [
    'NSING Technologies Pte. Ltd.',
    'NSING TPM ECC ROOT CA 001',
    '6ccf8a8a803d07a002a15d4889ffa0b125e4a82a1fe4211db3c6e8592919f9dc',
  ],
  [
    'NSING Technologies Pte. Ltd.',
    'NSING TPM RSA ROOT CA 001',
    '72ca00612395af027cd84c5514219f110e964dfa0bfc1efbb3ac147e3b173971',
  ],
  [
    'Nuvoton Technology Corporation',
    'NPCTxxx ECC521 RootCA',
    '083e7bd13e8fe0bb9b0c64db9e0c8356681df65714d2d5c4925eb98ae1369d40',
  ],
  [
    'Nuvoton Technology Corporation',
    'NTC TPM EK Root CA 01',
    '56b67007f448bd5c5746299fcdea9323971bbdaaefd8e3b9b84773abc888c90e',
  ],
  [
    'Nuvoton Technology Corporation',
    'NTC TPM EK Root CA 02',
    '8fac94b462b37acb84431bdc71395585caf518c17f656051ff9c4347a4726ed9',
  ],
  [
    'Nuvoton Technology Corporation',
    'Nuvoton TPM Root CA 0100',
    '887bc9658ffc6ad7f4eeb85c8819772ff609ee64c4dac4a6dca654a39e94b289',
  ],
  [
    'Nuvoton Technology Corporation',
    'Nuvoton TPM Root CA 1110',
    '2782e51a95e86d9557fe4204316cf805bd6f5898f81f9732e944d742bcdc5f54',
  ],
  [
    'Nuvoton Technology Corporation',
    'Nuvoton TPM Root CA 1111',
    'e38c280f7c0e0b49f31efc7531032bb6a86c3fba4eb89beb1d510eaa4510ae4a',
  ],
  [
    'Nuvoton Technology Corporation',
    'Nuvoton TPM Root CA 2110',
    '4aebe77a51ed29959a7f9f5e07a24a558dee8167f3985d724995a541c258dfda',
  ],
  [
    'Nuvoton Technology Corporation',
    'Nuvoton TPM Root CA 2111',
    'cd8185ff8995ed09811970090a8c36fafab34ef87f47fa51fdb9ecf95c9c2e04',
  ],
  [
    'Nuvoton Technology Corporation',
    'Nuvoton TPM Root CA 2112',
    '66e3a1013d4f697700f731e7d68c69b58351f90ec9580d85862d020ab4abf1af',
  ],
  [
    'Nuvoton Technology Corporation',
    'NuvotonTPMRootCA1210',
    'ba70a6ea7b77c7fee8947a07b1e70e0b26d39ce5e6307f63d5e4b9507f19a157',
  ],
  [
    'Nuvoton Technology Corporation',
    'NuvotonTPMRootCA2210',
    'fc61abbc18100f460205ebe09d8c3e6995ac2be2234344a7facb62e15f9a7584',
  ],
  [
    'Nuvoton Technology Corporation',
    'NuvotonTPMRootCA2211',
    '2bbc5db224b8f28a6d2cf336d4da7ab21c8c490e3d60ef497801dc0b6ac00227',
  ],
  [
    'STMicroelectronics NV',
    'STSAFE ECC Root CA 02',
    'fd1e7b68accd825636b27b3177c67402d463a7f04c97b6c47ab705fcdc1a04f6',
  ],
  [
    'STMicroelectronics NV',
    'STSAFE RSA Root CA 02',
    'c8f179943356e13d9d84b100201cefabbf408880241e5329e60d950ce1dea623',
  ],
];

export const knownRoots: readonly KnownRoot[] = facts.map(([maker, name, sha256]) => ({ maker, name, sha256 }));

const byDigest = new Map(knownRoots.map((root) => [root.sha256, root]));

/** The known root with this digest; undefined for any other certificate, which may still be genuine. */
export function knownRootOf(sha256: string): KnownRoot | undefined {
  return byDigest.get(sha256);
}
