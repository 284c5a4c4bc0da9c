// `edgekeep reference layers`: reference values of DICE layers from the firmware images that were published (spec/reference-values.md, "Layers").
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { type OperationalFlag, operationalFlags } from '@edgekeep/core/attest/dice/flags';
import { type FwidAlgorithm, fwidAlgorithms, fwidText } from '@edgekeep/core/attest/dice/fwid';
import type { ReferenceLayer } from '@edgekeep/core/attest/dice/reference-layer';
import { encodeReferenceValues, parseReferenceValues } from '@edgekeep/core/attest/reference-values';
import { type Command, exitCodes, UsageError } from '../command.ts';
import { termsHelp, termsOf, termsOptions } from '../attest/reference-terms.ts';

export const command: Command = {
  usage:
    'reference layers --name NAME --version VERSION --layer N=FILE[,FILE…][;FIELD=VALUE…]… --out FILE [--hash HASH] [--lowest-version V] [--not-before TIME] [--not-after TIME] [--product NAME]… [--group NAME]… [--tag KEY=VALUE]…',
  help: `
Writes reference values that accept devices whose DICE layers are these images. Sign and publish them with \`edgekeep reference publish\`.

--name             lower-case letters, digits, dots, dashes; at most 64
--version          the version of what boots, for example 1.4.0
--layer            one acceptable build of layer N: the images that the layer's firmware digests (FWIDs) are made of, in the same order; may be
                   repeated: for another layer, or for another acceptable build of the same one
--out              the file to write; - for standard output
--hash             the hash algorithm of the FWIDs: ${Object.keys(fwidAlgorithms).join(', ')} (default: sha384)
${termsHelp}

Fields of a layer:

svn=NUMBER         the security version number of this build: a layer must not state less than the lowest of its builds
vendor=TEXT        what the layer must state as its vendor
model=TEXT         what the layer must state as its model
name=TEXT          for people (default: the file's name)
allow=FLAG         an operational flag that may be set; may be repeated
`,
  positionals: { min: 0, max: 0 },
  options: {
    name: { type: 'string' },
    version: { type: 'string' },
    layer: { type: 'string', multiple: true },
    hash: { type: 'string' },
    out: { type: 'string' },
    ...termsOptions,
  },
  async run(args) {
    const hash = algorithmOf(args.option('hash') ?? 'sha384');
    const out = args.required('out');
    const builds = await Promise.all(args.all('layer').map((text) => readBuild(text, hash)));
    if (builds.length === 0) throw new UsageError('--layer is missing: without a layer the values constrain nothing');
    const layers = merged(builds);
    const head = { type: 'edgekeep-reference-values/v3', bank: 'sha256', events: [] } as const;
    const values = {
      ...head,
      name: args.required('name'),
      version: args.required('version'),
      layers,
      ...termsOf(args),
    };
    const bytes = encodeReferenceValues(values);
    parseReferenceValues(bytes);
    const stdoutTaken = out === '-';
    if (stdoutTaken) process.stdout.write(bytes);
    else await writeFile(out, bytes);
    const text = `${values.name} ${values.version}: layers ${layers.map(({ layer }) => layer).join(',')}, written to ${out}`;
    return { exitCode: exitCodes.ok, value: { file: out, layers }, text, stdoutTaken };
  },
};

const LAYER_MAX = 255;

async function readBuild(text: string, hash: FwidAlgorithm): Promise<ReferenceLayer> {
  const [place = '', ...fields] = text.split(';');
  const match = /^(\d{1,3})=(.+)$/.exec(place);
  const layer = Number(match?.[1]);
  if (match === null || layer > LAYER_MAX)
    throw new UsageError(`--layer: expected N=FILE[;FIELD=VALUE…], found ${text}`);
  const files = (match[2] ?? '').split(',');
  const fwids = await Promise.all(files.map((file) => fwidOfFile(file, hash)));
  const found: Record<string, string> = {};
  const allowed: OperationalFlag[] = [];
  for (const field of fields) {
    const [, key = '', value = ''] = /^(svn|vendor|model|name|allow)=(.+)$/.exec(field) ?? [];
    if (key === '') throw new UsageError(`--layer: svn, vendor, model, name or allow is expected, found ${field}`);
    if (key === 'allow') allowed.push(flagOf(value));
    else if (found[key] === undefined) found[key] = value;
    else throw new UsageError(`--layer: ${key} is given twice`);
  }
  const { svn, vendor, model, name = files[0] ?? '' } = found;
  return {
    layer,
    name: name.slice(-128),
    fwids: [fwids],
    ...(vendor === undefined ? {} : { vendor }),
    ...(model === undefined ? {} : { model }),
    ...(svn === undefined ? {} : { svnLeast: svnOf(svn) }),
    ...(allowed.length === 0 ? {} : { flagsAllowed: allowed }),
  };
}

async function fwidOfFile(file: string, hash: FwidAlgorithm): Promise<string> {
  const digest = createHash(hash);
  await pipeline(createReadStream(file), digest);
  return fwidText({ algorithm: fwidAlgorithms[hash].oid, digest: digest.digest() });
}

// Several builds of one layer are alternatives. Everything else about the layer must agree, except the security version, where the lowest
// counts: every listed build is accepted.
function merged(builds: readonly ReferenceLayer[]): readonly ReferenceLayer[] {
  const byLayer = new Map<number, ReferenceLayer>();
  for (const build of builds) {
    const known = byLayer.get(build.layer);
    byLayer.set(build.layer, known === undefined ? build : both(known, build));
  }
  return [...byLayer.values()].sort((a, b) => a.layer - b.layer);
}

function both(known: ReferenceLayer, build: ReferenceLayer): ReferenceLayer {
  for (const field of ['vendor', 'model'] as const) {
    if (known[field] !== build[field])
      throw new UsageError(`--layer ${build.layer}: its builds differ in ${field}; publish a set for each`);
  }
  if (String(known.flagsAllowed) !== String(build.flagsAllowed))
    throw new UsageError(`--layer ${build.layer}: its builds differ in allow; publish a set for each`);
  if ((known.svnLeast === undefined) !== (build.svnLeast === undefined))
    throw new UsageError(`--layer ${build.layer}: give svn for each of its builds, or for none`);
  const { svnLeast, fwids, ...rest } = known;
  const lowest = svnLeast === undefined ? {} : { svnLeast: Math.min(svnLeast, build.svnLeast ?? svnLeast) };
  return { ...rest, fwids: [...fwids, ...build.fwids], ...lowest };
}

function algorithmOf(text: string): FwidAlgorithm {
  switch (text) {
    case 'sha256':
    case 'sha384':
    case 'sha512':
    case 'sha3-256':
    case 'sha3-384':
    case 'sha3-512':
      return text;
    default:
      throw new UsageError(`--hash: expected one of ${Object.keys(fwidAlgorithms).join(', ')}, found ${text}`);
  }
}

function flagOf(text: string): OperationalFlag {
  const flag = operationalFlags.find((candidate) => candidate === text);
  if (flag === undefined)
    throw new UsageError(`--layer: allow is one of ${operationalFlags.join(', ')}, found ${text}`);
  return flag;
}

function svnOf(text: string): number {
  const svn = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(svn))
    throw new UsageError(`--layer: svn is a whole number, found ${text}`);
  return svn;
}
