// Secure elements: whether the native binding is installed, which PKCS#11 modules are installed, and, for the named one, its tokens.
import { HardwareError } from '@edgekeep/hardware/error';
import { loadBinding } from '@edgekeep/hardware/pkcs11/binding';
import { describeTokens, findModules } from '@edgekeep/hardware/pkcs11/installed';
import { type Finding, missing, ok, warning } from '@edgekeep/host/finding';

const subject = 'secure element';

/** Without a module nothing is loaded: a vendor's library is code of another party. */
export async function examineSecureElements(module: string | undefined): Promise<readonly Finding[]> {
  return [await examineBinding(), await examineModules(), ...(module === undefined ? [] : await examineTokens(module))];
}

async function examineBinding(): Promise<Finding> {
  try {
    await loadBinding();
    return ok('PKCS#11 binding', 'pkcs11js loads');
  } catch (error) {
    if (!(error instanceof HardwareError)) throw error;
    return missing(
      'PKCS#11 binding',
      'pkcs11js does not load',
      'only for a secure element: edgekeep-agent brings it; in a checkout apt install g++ make python3, then node scripts/setup.mjs packages',
    );
  }
}

async function examineModules(): Promise<Finding> {
  const found = await findModules();
  if (found.length > 0) {
    return ok('PKCS#11 modules', found.map(({ path, purpose }) => `${path} (${purpose})`).join(', '));
  }
  return missing(
    'PKCS#11 modules',
    'none in the usual places',
    "only for a secure element: install its vendor's module",
  );
}

async function examineTokens(module: string): Promise<readonly Finding[]> {
  try {
    const tokens = await describeTokens(module);
    if (tokens.length === 0) {
      return [missing(subject, `${module} has no initialized token`, 'initialize one with the tool of its vendor')];
    }
    return tokens.map(({ label, manufacturer, model, serialNumber, slot, pinLocked }) => {
      const found = `${label} in slot ${slot}: ${manufacturer} ${model}, serial number ${serialNumber}`;
      return pinLocked
        ? warning(subject, `${found}; its PIN is locked`, 'unlock it with the SO PIN')
        : ok(subject, found);
    });
  } catch (error) {
    if (!(error instanceof HardwareError)) throw error;
    return [warning(subject, error.message, 'see docs/secure-elements.md')];
  }
}
