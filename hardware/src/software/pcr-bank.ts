// A SHA-256 PCR bank kept in a file, for one boot: it starts over when the boot identifier changes, as a TPM's does at reset. A bank that is lost
// starts over, too: the boot log then contradicts it until the device restarts.
import { extend } from '@edgekeep/core/attest/replay';
import { parseHex, toHex } from '@edgekeep/core/bytes';
import { pcrCount } from '@edgekeep/core/tpm/pcr-selection';
import { readEither, replaceBoth } from '@edgekeep/host/two-copies';
import { HardwareError } from '../error.ts';

const valueBytes = 32;

export class SoftwarePcrBank {
  readonly #path: string;
  readonly #bootId: string;
  readonly #values: Uint8Array[];

  private constructor(path: string, bootId: string, values: Uint8Array[]) {
    this.#path = path;
    this.#bootId = bootId;
    this.#values = values;
  }

  static async open(path: string, bootId: string): Promise<SoftwarePcrBank> {
    const parse = (bytes: Uint8Array) => parseBank(path, Buffer.from(bytes).toString('utf8'));
    const found = await readEither(path, { parse });
    const kept = found.kind === 'found' ? found.value : undefined;
    return new SoftwarePcrBank(path, bootId, kept?.bootId === bootId ? kept.values : resetValues());
  }

  value(pcr: number): Uint8Array {
    const value = this.#values[pcr];
    if (value === undefined) throw new HardwareError('software-unsupported', `there is no PCR ${pcr}`);
    return value;
  }

  /** The new value is on disk when this resolves. PCRs 17 to 22 belong to a dynamic launch, which software does not have. */
  async extend(pcr: number, digest: Uint8Array): Promise<void> {
    if (isDynamic(pcr)) throw new HardwareError('software-unsupported', `PCR ${pcr} cannot be extended from here`);
    if (digest.length !== valueBytes) {
      throw new HardwareError('software-unsupported', `a digest of ${digest.length} bytes, expected ${valueBytes}`);
    }
    const value = extend('sha256', this.value(pcr), digest);
    const lines = this.#values.map((old, index) => toHex(index === pcr ? value : old));
    await replaceBoth(this.#path, Buffer.from(`${[this.#bootId, ...lines].join('\n')}\n`));
    this.#values[pcr] = value;
  }
}

function parseBank(path: string, text: string): { readonly bootId: string; readonly values: Uint8Array[] } {
  const lines = text.split('\n');
  const [bootId = '', ...values] = lines.slice(0, -1);
  const whole =
    lines.at(-1) === '' && values.length === pcrCount && values.every((line) => /^[0-9a-f]{64}$/.test(line));
  if (!whole) throw new HardwareError('software-state-invalid', `${path}: not a PCR bank`);
  return { bootId, values: values.map((line) => parseHex(line, path)) };
}

function resetValues(): Uint8Array[] {
  return Array.from({ length: pcrCount }, (_, pcr) => new Uint8Array(valueBytes).fill(isDynamic(pcr) ? 0xff : 0));
}

function isDynamic(pcr: number): boolean {
  return pcr >= 17 && pcr <= 22;
}
