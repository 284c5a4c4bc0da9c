// The native binding to PKCS#11 modules, an optional dependency: loaded only when a secure element is needed.
import { HardwareError } from '../error.ts';
import { type Binding, isBinding } from './cryptoki.ts';

// A name that the type checker does not follow: otherwise it would require the package.
const packageName: string = 'pkcs11js';

/** Throws `pkcs11-binding-missing` when it is not installed or was built for another Node. `load` is for tests. */
export async function loadBinding(
  load: () => Promise<{ readonly default: object }> = () => import(packageName),
): Promise<Binding> {
  const message =
    'the native package pkcs11js does not load; edgekeep-agent and edgekeep-hub bring it, in a checkout: apt install g++ make python3, then node scripts/setup.mjs packages';
  let loaded: object;
  try {
    loaded = (await load()).default;
  } catch (cause) {
    throw new HardwareError('pkcs11-binding-missing', message, { cause });
  }
  if (isBinding(loaded)) return loaded;
  throw new HardwareError('pkcs11-binding-missing', `${message}; the loaded package is not the expected binding`);
}
