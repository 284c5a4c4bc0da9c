// `edgekeep model publish`: sign, seal and send a model to the hub.
import { counted } from '@edgekeep/core/counted';
import { modelNamePattern, modelVersionPattern } from '@edgekeep/core/model/manifest';
import { exitCodes, type Command, UsageError } from '../command.ts';
import { readGuardSettings } from '../guard/settings.ts';
import { openOperator, operatorHelp, operatorOption } from '../operator.ts';
import { readSigner } from './key-files.ts';
import { progressOutput } from './transfer-progress.ts';
import { publishModel, readReleasePolicy } from './publication.ts';

export const command: Command = {
  usage:
    'model publish PATH --name NAME --version VERSION --key KEY.pem [--guard FILE] [--release-policy FILE] [--fallback FILE] [--no-ort] [--force]',
  help: `
PATH is one model file, or a folder: an ONNX model with its external data, a fallback.onnx, or any opaque files (a TensorRT plan, a TFLite
file), which devices open in memory for \`edgekeep model run\`. The key must be trusted by the hub: \`edgekeep publisher trust\`.
Before anything is signed, the guard's own code loads the model, holds it against the guard settings and runs it once: a model that no device can
serve is refused, with the reason.

--name      the model's name: lower-case letters, digits, dots and dashes
--version   for example 1.2.0; a published version never changes
--key       PEM private key: P-256, P-384 or P-521 (\`edgekeep model keygen\`)
--guard     guard settings (spec/guard.md): without them predictions are served without a verdict
--release-policy  who may get the key, as JSON (spec/model-manifest.md): you sign it with the model, and no operator can change it. Without it the
            operator of the hub decides alone
--fallback  a second model that answers when the first is unsure
--no-ort    do not add the optimized .ort twin of each .onnx file
--force     publish a model that no device can serve, for programs alone (\`edgekeep model run\`): it is neither loaded nor tried here
${operatorHelp}
`,
  positionals: { min: 1, max: 1 },
  options: {
    ...operatorOption,
    name: { type: 'string' },
    version: { type: 'string' },
    key: { type: 'string' },
    guard: { type: 'string' },
    'release-policy': { type: 'string' },
    fallback: { type: 'string' },
    'no-ort': { type: 'boolean' },
    force: { type: 'boolean' },
  },
  async run(args) {
    const [path = ''] = args.positionals;
    const name = args.required('name');
    const version = args.required('version');
    checkNames(name, version);
    const signer = await readSigner(args.required('key'));
    const guardFile = args.option('guard');
    const policyFile = args.option('release-policy');
    const release = await publishModel(await openOperator(args), {
      path,
      name,
      version,
      signer,
      fallback: args.option('fallback'),
      guard: guardFile === undefined ? undefined : await readGuardSettings(guardFile),
      releasePolicy: policyFile === undefined ? undefined : await readReleasePolicy(policyFile),
      withoutOrt: args.flag('no-ort') || args.flag('force'),
      force: args.flag('force'),
      progress: (step) => process.stderr.write(`${step}\n`),
      output: progressOutput,
    });
    const size = release.files.reduce((total, file) => total + file.sealedSize, 0);
    return {
      exitCode: exitCodes.ok,
      value: release,
      text: [
        `published ${name} ${version}: ${counted(release.files.length, 'sealed file')}, ${counted(size, 'byte')}, manifest ${release.manifestDigest}`,
        ...(release.advice === null ? [] : [`warning: ${release.advice}`]),
      ].join('\n'),
    };
  },
};

/** Before anything is loaded or signed. */
function checkNames(name: string, version: string): void {
  if (!modelNamePattern.test(name))
    throw new UsageError(
      `--name ${name}: expected at most 64 lower-case letters, digits, dots, dashes and underscores, for example inspect`,
    );
  if (!modelVersionPattern.test(version))
    throw new UsageError(`--version ${version}: expected three numbers with dots, for example 1.2.0 or 1.2.0-rc.1`);
}
