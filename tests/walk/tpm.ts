// The TPM of a walked page: `node tpm.ts FOLDER MAKERS` starts a simulator, boots it, and writes its makers' certificates.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TpmSimulator } from '@edgekeep/hardware/tpm/simulator';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { healthyBoot, logOf, measure } from '../support/boot.ts';

const [folder = '', makers = ''] = process.argv.slice(2);
await mkdir(folder, { recursive: true });
const simulator = await TpmSimulator.start({
  stateFolder: join(folder, 'state'),
  vendorFolder: join(folder, 'vendor'),
});
{
  await using tpm = await TpmRootOfTrust.open(simulator.address);
  await measure(tpm, healthyBoot);
}
const { root, intermediate } = await simulator.vendorCertificates();
await mkdir(makers, { recursive: true });
await writeFile(join(makers, 'root.pem'), root);
await writeFile(join(makers, 'intermediate.pem'), intermediate);
await writeFile(join(folder, 'firmware.eventlog'), logOf(healthyBoot));
await writeFile(join(folder, 'address'), `unix:${simulator.socketPath}`);
