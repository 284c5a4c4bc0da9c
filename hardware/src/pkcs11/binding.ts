// The native binding to PKCS#11 modules, an optional dependency: loaded when a secure element is asked for, and never before.
import type * as pkcs11 from 'pkcs11js';
import { HardwareError } from '../error.ts';

export type Binding = typeof pkcs11;

/** Throws `pkcs11-binding-missing` when it is not installed or was built for another Node. `load` is for tests. */
export async function loadBinding(
  load: () => Promise<{ readonly default: Binding }> = () => import('pkcs11js'),
): Promise<Binding> {
  try {
    return (await load()).default;
  } catch (cause) {
    const message =
      'the native package pkcs11js does not load: install a C++ compiler (apt install g++ make), then npm rebuild pkcs11js';
    throw new HardwareError('pkcs11-binding-missing', message, { cause });
  }
}
