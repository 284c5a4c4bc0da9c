// `edgekeep manufacture device`: one device, at a bench or a repair place.
import { resolve } from 'node:path';
import { endorsementKeyKinds } from '@edgekeep/core/tpm/template';
import { deviceIdOfSerial, isDeviceId } from '@edgekeep/core/identity/device-id';
import { deviceSerialPattern } from '@edgekeep/core/identity/idevid';
import { parseTpmAddress } from '@edgekeep/hardware/tpm/transport';
import { groupNameSchema, tagsSchema } from '@edgekeep/wire/api/registry';
import { type Arguments, type Command, exitCodes, UsageError } from '../command.ts';
import { readTrustRoots } from '../model/key-files.ts';
import type { HardwarePlace } from './hardware.ts';
import { makeDevice } from './make.ts';
import { Manifest, serialTag } from './manifest.ts';
import { hardwareTypeSchema, openManufacturer } from './manufacturer.ts';
import { tokenHelp, tokenOption, tokenOptions, vendorRootsHelp } from './options.ts';

const tpmDefault = 'device:/dev/tpmrm0';

export const command: Command = {
  usage:
    'manufacture device SERIAL --ca DIR [--tpm ADDRESS [--endorsement-key KIND] | --pkcs11 MODULE [--token LABEL | --slot N] --pin-file FILE] [--id ID] [--hardware-type OID] [--product NAME] [--tag KEY=VALUE]… [--group NAME]… [--vendor-roots FILE] [--idevid-file FILE] [--manifest FILE] [--enrollment-group NAME]',
  help: `
Makes the key in the device's TPM or token, or finds it there, issues the IDevID and stores it beside the key. Running it again changes nothing.

--ca               the manufacturer's folder
--tpm              device:PATH, unix:PATH or tcp:HOST:PORT (default: ${tpmDefault})
--endorsement-key  the key that identifies the device: ${endorsementKeyKinds.join(', ')} (default: rsa-2048)
--pkcs11           the key is in a token of this PKCS#11 module
${tokenHelp}
--id               the device id (default: the serial number in lower case)
--hardware-type    another object identifier than the manufacturer's
--product          the name of the product, in the subject of the IDevID (common name)
--tag              a tag of the device, for the manifest; may be repeated
--group            a device group it joins; may be repeated
${vendorRootsHelp}
--idevid-file      the file for the certificate when the hardware has no room: idevid.pem in the device's state folder
--manifest         a line is added to this file
--enrollment-group  the manifest group at the hub that will list the device
`,
  positionals: { min: 1, max: 1 },
  options: {
    ...tokenOptions,
    ca: { type: 'string' },
    tpm: { type: 'string' },
    'endorsement-key': { type: 'string' },
    id: { type: 'string' },
    'hardware-type': { type: 'string' },
    product: { type: 'string' },
    tag: { type: 'string', multiple: true },
    group: { type: 'string', multiple: true },
    'vendor-roots': { type: 'string' },
    'idevid-file': { type: 'string' },
    manifest: { type: 'string' },
    'enrollment-group': { type: 'string' },
  },
  async run(args) {
    const [serialNumber = ''] = args.positionals;
    if (!deviceSerialPattern.test(serialNumber))
      throw new UsageError('SERIAL: expected 1 to 64 letters, digits, dots and hyphens');
    const id = args.option('id') ?? deviceIdOfSerial(serialNumber) ?? '';
    if (!isDeviceId(id)) throw new UsageError('--id: expected lower-case letters, digits and hyphens, at most 63');
    const hardwareType = args.option('hardware-type');
    if (hardwareType !== undefined && !hardwareTypeSchema.safeParse(hardwareType).success)
      throw new UsageError('--hardware-type: expected an object identifier like 1.3.6.1.4.1.99999.1');
    const groups = args.all('group');
    if (!groups.every((name) => groupNameSchema.safeParse(name).success)) throw new UsageError('--group: not a name');
    const file = args.option('idevid-file');
    const order = {
      serialNumber,
      id,
      hardwareType,
      product: args.option('product'),
      place: placeOf(args),
      idevidFile: file === undefined ? undefined : resolve(file),
      tags: tagsOf(args.all('tag')),
      groups,
    };
    const manufacturer = await openManufacturer(args.required('ca'));
    const vendorFile = args.option('vendor-roots');
    const vendorRoots = vendorFile === undefined ? [] : await readTrustRoots(vendorFile);
    const manifestFile = args.option('manifest');
    await using manifest = manifestFile === undefined ? undefined : await Manifest.open(manifestFile);
    const terms = { vendorRoots, enrollmentGroup: args.option('enrollment-group') };
    const made = await makeDevice(manufacturer, order, { ...terms, nowSeconds: Math.floor(Date.now() / 1_000) });
    if (made.kind === 'refused')
      return { exitCode: exitCodes.refused, value: made, text: `refused: ${made.code}: ${made.message}` };
    if (manifest?.lines.has(serialNumber.toLowerCase()) === false) await manifest.append(made.line);
    const word = made.fresh ? 'issued' : 'issued before';
    const text = `${serialNumber}: IDevID ${made.line.idevidSha256} ${word}, kept in ${made.kept}; device id ${id}`;
    return { exitCode: exitCodes.ok, value: { ...made.line, fresh: made.fresh, kept: made.kept }, text };
  },
};

function placeOf(args: Arguments): HardwarePlace {
  const token = tokenOption(args);
  if (token !== undefined) {
    if (args.option('tpm') !== undefined) throw new UsageError('--tpm and --pkcs11 exclude each other');
    const { module, token: label, slot, pinFile } = token;
    return { kind: 'pkcs11', place: { module, token: { label, slot }, pinFile } };
  }
  const address = parseTpmAddress(args.option('tpm') ?? tpmDefault);
  if (address === undefined) throw new UsageError('--tpm: expected device:PATH, unix:PATH or tcp:HOST:PORT');
  const wanted = args.option('endorsement-key') ?? 'rsa-2048';
  const endorsementKey = endorsementKeyKinds.find((kind) => kind === wanted);
  if (endorsementKey === undefined) throw new UsageError(`--endorsement-key: one of ${endorsementKeyKinds.join(', ')}`);
  return { kind: 'tpm', address, endorsementKey };
}

function tagsOf(texts: readonly string[]): Readonly<Record<string, string>> {
  const pairs = texts.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]);
  const parsed = tagsSchema.safeParse(Object.fromEntries(pairs));
  if (!parsed.success || Object.hasOwn(parsed.data, serialTag)) {
    throw new UsageError(`--tag: expected KEY=VALUE, with any key but ${serialTag}`);
  }
  return parsed.data;
}
