// `edgekeep manufacture batch`: a whole line, from a table of devices to a manifest. After an interruption at any point, it continues where
// it was.
import { dirname, resolve } from 'node:path';
import { readBounded } from '../bounded-file.ts';
import { readTrustRoots } from '../model/key-files.ts';
import { exitCodes, type Command } from '../command.ts';
import { personText } from '@edgekeep/core/person-text';
import { readLineOrders } from './line-orders.ts';
import { type DeviceOrder, type LineTerms, type ManufactureResult, makeDevice } from './make.ts';
import { Manifest } from './manifest.ts';
import { type Manufacturer, openManufacturer } from './manufacturer.ts';
import { vendorRootsHelp } from './options.ts';

/** 100,000 devices with long paths. */
const INPUT_BYTES_MAX = 64 * 1024 * 1024;
/** How many failures the outcome shows; standard error has all of them. */
const failuresShown = 100;

export const command: Command = {
  usage:
    'manufacture batch --ca DIR --input FILE.csv --output MANIFEST [--vendor-roots FILE] [--enrollment-group NAME]',
  help: `
The table has a header; columns (docs/manufacturing.md): serial, id, hardwareType, product, tpm, endorsementKey, module, token, slot, pinFile,
idevidFile, groups, and tag.KEY. Each finished device has a line in the manifest; run the same command again to continue after a crash, or to
retry failed devices. A serial number never gets a second IDevID.

--ca               the manufacturer's folder
--input            the table; relative paths in it start at its folder
--output           the manifest, made or added to: give it to edgekeep device import
${vendorRootsHelp}
--enrollment-group  the manifest group at the hub that will list the devices
`,
  positionals: { min: 0, max: 0 },
  options: {
    ca: { type: 'string' },
    input: { type: 'string' },
    output: { type: 'string' },
    'vendor-roots': { type: 'string' },
    'enrollment-group': { type: 'string' },
  },
  async run(args) {
    const input = resolve(args.required('input'));
    const output = args.required('output');
    const manufacturer = await openManufacturer(args.required('ca'));
    const vendorFile = args.option('vendor-roots');
    const vendorRoots = vendorFile === undefined ? [] : await readTrustRoots(vendorFile);
    const orders = readLineOrders(personText(await readBounded(input, INPUT_BYTES_MAX), input), dirname(input));
    await using manifest = await Manifest.open(output);
    const failures: Failure[] = [];
    let made = 0;
    let before = 0;
    for (const [at, order] of orders.entries()) {
      const { serialNumber, line } = order;
      const progress = (text: string) => process.stderr.write(`${at + 1}/${orders.length} ${serialNumber}: ${text}\n`);
      if (manifest.lines.has(serialNumber.toLowerCase())) {
        before += 1;
        continue;
      }
      const nowSeconds = Math.floor(Date.now() / 1_000);
      const terms = { vendorRoots, enrollmentGroup: args.option('enrollment-group'), nowSeconds };
      const result = await attempt(manufacturer, order, terms);
      if (result.kind === 'refused') {
        failures.push({ line, serialNumber, code: result.code, message: result.message });
        progress(`${result.code}: ${result.message}`);
        continue;
      }
      await manifest.append(result.line);
      made += 1;
      progress(`${result.fresh ? 'issued' : 'had its IDevID already'}, kept in ${result.kept}`);
    }
    const counts = { devices: orders.length, made, before, failed: failures.length };
    const summary = `${made} made, ${before} done before, ${failures.length} failed of ${orders.length}: ${output}`;
    const shown = failures.slice(0, failuresShown);
    return {
      exitCode: failures.length === 0 ? exitCodes.ok : exitCodes.refused,
      value: { ...counts, manifest: output, failures: shown },
      text: [summary, ...shown.map((each) => `  line ${each.line}, ${each.serialNumber}: ${each.code}`)].join('\n'),
    };
  },
};

interface Failure {
  readonly line: number;
  readonly serialNumber: string;
  readonly code: string;
  readonly message: string;
}

// A device that is missing, locked or broken fails alone. An error without a code is our own fault, and stops the line.
async function attempt(manufacturer: Manufacturer, order: DeviceOrder, terms: LineTerms): Promise<ManufactureResult> {
  try {
    return await makeDevice(manufacturer, order, terms);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) throw error;
    return { kind: 'refused', code: error.code, message: error.message };
  }
}
